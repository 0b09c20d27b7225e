"""What this machine does: its peak, training steps, translations, reading of pictures."""
