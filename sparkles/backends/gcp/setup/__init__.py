"""Setting up a project of Google Cloud for sparkles, and finding out whether it is.

Each module knows one of Google's services; `steps` and `checks` put them in order.
"""
