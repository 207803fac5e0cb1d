"""Text formats that every subject needs: documents with positions, checked keys, Markdown.

Knows no word of this project's subjects.
"""
