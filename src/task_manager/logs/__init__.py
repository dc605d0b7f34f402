"""What steps wrote: files below the data folder, without secrets, with an index of their lines."""

from task_manager.logs.files import STDERR, STDOUT, STREAMS, LogFile, read_log, tail, write_logs
from task_manager.logs.reading import FilePart, Numbered, read_part
from task_manager.logs.scrubbing import MASK, Scrubber, scrub_file
from task_manager.logs.searching import LinePattern

__all__ = [
    "MASK",
    "STDERR",
    "STDOUT",
    "STREAMS",
    "FilePart",
    "LinePattern",
    "LogFile",
    "Numbered",
    "Scrubber",
    "read_log",
    "read_part",
    "scrub_file",
    "tail",
    "write_logs",
]
