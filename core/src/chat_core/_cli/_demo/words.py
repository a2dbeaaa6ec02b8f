"""What the two sides of the demo say: the processes of the demo must agree about it."""

from __future__ import annotations

from chat_core._cli.terminal import visible

__all__ = ["DURING_THE_CUT", "GREETING", "VISITOR", "WHILE_AWAY", "say"]

#: What the agent says, by the moment in which it does.
GREETING = "Hello, Grace here. How can I help?"
DURING_THE_CUT = ("Are you still there?", "I will wait.")
WHILE_AWAY = ("Your invoice is corrected.", "Anything else?")
#: What the visitor of the fixed conversation says.
VISITOR = ("My invoice is wrong.", "Sorry, my train went through a tunnel.", "No, thank you!")


def say(text: str) -> None:
    """Print a line at once: several processes write to one terminal."""
    print(visible(text), flush=True)  # noqa: T201 - this is a command
