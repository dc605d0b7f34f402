"""`python -m task_manager` is the command line."""

from task_manager.cli import main

if __name__ == "__main__":
    main()
