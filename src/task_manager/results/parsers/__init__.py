"""Reading reports: one function per format, each of a file and the name that messages call it by.

Each raises OutputInvalid when nothing of the file can be used, and returns what is valid with the problems of the rest.
All of them bound what they read and keep, and follow no links: the files were written by somebody else's program.
"""
