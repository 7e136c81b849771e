"""One module per provider: its name, its URL, its attribution and how its bodies are read."""
