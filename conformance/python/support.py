"""What the scenarios share: callers, and the assertion that a call is refused."""

import os
import secrets
import unittest

from elasticsearch import ApiError, Elasticsearch, __version__

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
