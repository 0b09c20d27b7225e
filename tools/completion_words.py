"""Write down the methods, presets and options that Tab offers: run it after changing any of them.

python tools/completion_words.py
"""

from pathlib import Path

from unpaired.cli.completion import training

if __name__ == "__main__":
    place = Path(training.__file__).with_name(training.FILE)
    place.write_text(training.as_text(training.gathered()), encoding="utf-8")
    print(place)
