"""A Django view that holds a customer's chat: each request takes the chat up, says something, and waits for the answer.

Run against a server of yours, or without an argument against the sandbox:

    python examples/view_django.py [https://gms.example.com/genesys/cometd]
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

import chat_core
from chat_core import blocking
from chat_sandbox import echo
from chat_sandbox.blocking import Sandbox


def say(request: HttpRequest, visitor: str) -> HttpResponse:
    """Say what was posted and answer with what the agent says; the chat outlives the request."""
    with blocking.restore_or_start_session(
        server_url=settings.CHAT_SERVER,
        username=visitor,
        page=chat_core.PageContext.from_wsgi(request.META),
        profile=visitor,
        state_storage="memory",  # for one process; "file" for several on one machine, which is the default
        max_offline_duration=3600,
        on_exit="detach",
    ) as session:
        receipt = session.send_message(request.POST["text"], until="echoed")
        answer = session.wait_for(chat_core.MessageReceived, timeout=10, after=receipt.index)
    return HttpResponse(str(answer))


urlpatterns = [path("say/<str:visitor>", say)]


def visit(visitor: str) -> list[str]:
    """Be a browser: three requests of one visitor."""
    browser = Client()
    words = ["Hello", "Are you there?", "Bye"]
    return [browser.post(f"/say/{visitor}", {"text": text}).content.decode() for text in words]


def main() -> None:
    """Serve five visitors at once."""
    with Sandbox(agent=echo) as sandbox, ThreadPoolExecutor() as threads:
        settings.configure(
            ROOT_URLCONF=__name__,
            ALLOWED_HOSTS=["testserver"],
            CHAT_SERVER=sys.argv[1] if len(sys.argv) > 1 else sandbox.cometd_url,
        )
        django.setup()
        answers = list(threads.map(visit, ["Ada", "Grace", "Linus", "Barbara", "Guido"]))
        for answer in answers[0]:
            print(answer)
        print(f"{sum(map(len, answers))} answers, {len(sandbox.chats)} chats")


if __name__ == "__main__":
    main()
