"""Who may ask for what: API keys, web origins, rates. Decides; knows nothing of HTTP servers."""
