"""What the scenarios share: callers, and the assertion that a call is refused."""

import os
import secrets
import unittest

from elasticsearch import ApiError, Elasticsearch, NotFoundError, __version__

url = os.environ["LATCHKEY_URL"]
password = os.environ["LATCHKEY_PASSWORD"]

# The major version of the client, which it also asks the server to speak.
major = __version__[0]


def connect(at=url, **options):
    """Returns a client that repeats nothing, so that a scenario sees each answer."""
    return Elasticsearch(at, max_retries=0, **options)


admin = connect(basic_auth=("elastic", password))


def unique(prefix):
    """Returns a name that no other scenario uses."""
    return f"{prefix}-{secrets.token_hex(5)}"


class Person:
    """A user who holds a role with the given cluster privileges."""

    def __init__(self, *cluster):
        self.name, self.role, self.password = unique("user"), unique("role"), unique("password")
        admin.security.put_role(name=self.role, cluster=list(cluster))
        admin.security.put_user(username=self.name, password=self.password, roles=[self.role])
        self.client = connect(basic_auth=(self.name, self.password))


class Key:
    """An API key that has authenticated once, so that the server has it at hand."""

    def __init__(self, owner, **params):
        made = owner.security.create_api_key(**{"name": unique("key"), **params})
        self.id, self.name, self.encoded = made["id"], made["name"], made["encoded"]
        self.client = connect(api_key=self.encoded)
        self.client.security.authenticate()


class Token:
    """An access token that has authenticated once, so that the server has it at
    hand, and the refresh token that came with it."""

    def __init__(self, by, **request):
        self.made = by.security.get_token(**(request or {"grant_type": "client_credentials"})).body
        self.access, self.refresh = self.made["access_token"], self.made.get("refresh_token")
        self.client = connect(bearer_auth=self.access)
        self.client.security.authenticate()

    @classmethod
    def of(cls, user, by=admin):
        """Gets a pair for a user's password."""
        return cls(by, grant_type="password", username=user.name, password=user.password)


class Scenarios(unittest.TestCase):
    maxDiff = None

    def refused(self, status, kind, call, **params):
        """Asserts that a call ends in the client's error, and returns the error's body."""
        with self.assertRaises(ApiError) as raised:
            call(**params)
        err = raised.exception
        self.assertEqual((err.status_code, err.body["status"], err.body["error"]["type"]), (status, status, kind))
        return err.body["error"]

    def dead(self, *clients):
        """Asserts that keys are refused, as every key is that does not authenticate."""
        for client in clients:
            error = self.refused(401, "security_exception", client.security.authenticate)
            self.assertIn("unable to authenticate with provided credentials", error["reason"])

    def off(self, *clients):
        """Asserts that access tokens are refused, as those are that were invalidated or have expired."""
        challenge = 'Bearer realm="security", error="invalid_token", error_description="The access token expired"'
        for client in clients:
            error = self.refused(401, "security_exception", client.security.authenticate)
            self.assertEqual(error["header"], {"WWW-Authenticate": challenge})

    def unknown(self, **selector):
        """Asserts that no token is found: a 404 with counters, of which the client
        makes an error unless it is told not to, and nothing else."""
        counters = {"invalidated_tokens": 0, "previously_invalidated_tokens": 0, "error_count": 0}
        with self.assertRaises(NotFoundError) as raised:
            admin.security.invalidate_token(**selector)
        self.assertEqual(raised.exception.body, counters)
        answer = admin.options(ignore_status=404).security.invalidate_token(**selector)
        self.assertEqual((answer.meta.status, answer.body), (404, counters))
