"""Code with findings."""

import os
import sys


def volume(width, height, depth):
    """The volume of a box."""
    area = width * height
    unused = 1 
    return area * depth * missing
