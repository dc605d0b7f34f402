"""Ranges of numbers as people write them: `1-3,7` is 1, 2, 3, 7."""


def parse(text: str) -> list[int]:
    """The numbers that a text such as `1-3,7` stands for, in its order."""
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def render(numbers: list[int]) -> str:
    """The shortest text for some numbers, in ascending order."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(
        str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts
    )
