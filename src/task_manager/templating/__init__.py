"""The parts of workflow templates: reading files, checking parameters, rendering definitions, running their tests."""
