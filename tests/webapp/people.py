"""People for the tests of the accounts: making them, logging them in as a browser without scripts does, a clock that can be moved."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.webapp.reading import read
from webapp.accounts import people

PASSWORD = "un vélo rouge devant la mairie"  # of every person of the tests
OTHER_PASSWORD = "trois pommes sur le banc vert"


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    def __call__(self) -> dt.datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += dt.timedelta(**by)


def make_person(
    app: Flask,
    name: str = "Camille Martin",
    email: str = "camille@ville.example",
    *,
    services: set[str] | None = None,
    is_admin: bool = False,
    password: str | None = PASSWORD,
) -> int:
    """Make an account; returns its number."""
    with app.app_context():
        made = people.create(name, email, services=services, is_admin=is_admin)
        if password:
            people.set_password(made, password)
        return made.id


def csrf_of(client: FlaskClient, path: str = "/connexion") -> str:
    """The token that the forms of a page carry."""
    fields = read(client.get(path, follow_redirects=True)).find("input")
    return next(one.attributes["value"] for one in fields if one.attributes.get("name") == "csrf_token")


def send(client: FlaskClient, path: str, page: str = "/connexion", headers: dict[str, str] | None = None, **fields: object) -> TestResponse:
    """Send a form, with the token of the page that holds it."""
    return client.post(path, data={"csrf_token": csrf_of(client, page), **fields}, headers=headers)


def log_in(
    client: FlaskClient, email: str = "camille@ville.example", password: str = PASSWORD, target: str = "", address: str = "192.0.2.1"
) -> TestResponse:
    """Send the log-in form from a network address."""
    fields = {"csrf_token": csrf_of(client), "email": email, "password": password, "next": target}
    return client.post("/connexion", data=fields, environ_base={"REMOTE_ADDR": address})


def visitor(app: Flask, email: str = "camille@ville.example") -> FlaskClient:
    """A browser in which this person is logged in."""
    client = app.test_client()
    assert log_in(client, email).status_code == 303
    return client
