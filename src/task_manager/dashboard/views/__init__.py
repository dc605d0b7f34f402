"""What pages show: facts from use cases, drawn as trees of plain data. Nothing here knows NiceGUI."""
