import os
from pathlib import Path
def write_whole(path, content): Path(path).write_bytes(content)
