"""A chat in the terminal as an application (Textual, the extra ``chat-core[tui]``).

What happens in the chat becomes entries, entries become rows, and a view draws those rows that it shows. Only what
draws needs Textual; nothing of it is imported before a chat is held this way.
"""
