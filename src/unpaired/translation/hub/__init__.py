"""Runs on the Hugging Face Hub: fetched, packed with a model card, pushed; by huggingface_hub."""
