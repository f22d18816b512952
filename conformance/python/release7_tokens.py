"""Tokens with release 7.17 of the client, which knows no bearer but a header."""

import secrets
import unittest

from elasticsearch import AuthenticationException, NotFoundError, RequestError

from release7 import connect, password

admin = connect(http_auth=("elastic", password))


def bearer(token):
    return connect(headers={"authorization": f"Bearer {token}"})


class Tokens(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.user, self.word = f"user-{secrets.token_hex(5)}", secrets.token_hex(10)
        admin.security.put_user(username=self.user, body={"password": self.word, "roles": []})

    def pair(self):
        """Gets a pair whose access token has authenticated once, and a client that uses it."""
        made = admin.security.get_token(body={"grant_type": "password", "username": self.user, "password": self.word})
        client = bearer(made["access_token"])
        client.security.authenticate()
        return made, client

    def invalidate(self, now, before, **selector):
        self.assertEqual(
            admin.security.invalidate_token(body=selector),
            {"invalidated_tokens": now, "previously_invalidated_tokens": before, "error_count": 0},
        )

    def off(self, *clients):
        for client in clients:
            with self.assertRaises(AuthenticationException) as raised:
                client.security.authenticate()
            self.assertEqual(
                raised.exception.info["error"]["header"],
                {"WWW-Authenticate": 'Bearer realm="security", error="invalid_token", error_description="The access token expired"'},
            )

    def denied(self, error, **request):
        with self.assertRaises(RequestError) as raised:
            admin.security.get_token(body=request)
        err = raised.exception
        self.assertEqual((err.status_code, err.error, list(err.info)), (400, error, ["error", "error_description"]))
        return err.info["error_description"]

    def test_client_credentials(self):
        """TK-1 TK-2 TK-4 TK-7 for the caller: an access token alone"""
        made = admin.security.get_token(body={"grant_type": "client_credentials"})
        self.assertEqual(list(made), ["access_token", "type", "expires_in", "authentication"])
        self.assertEqual((made["type"], made["expires_in"]), ("Bearer", 1200))
        self.assertEqual(bearer(made["access_token"]).security.authenticate()["username"], "elastic")

    def test_password(self):
        """TK-3 TK-24 TK-25 TK-26 for a password: a pair for its user, as whom the token acts"""
        made, client = self.pair()
        self.assertEqual(list(made), ["access_token", "type", "expires_in", "refresh_token", "authentication"])
        self.assertEqual((made["authentication"]["username"], made["authentication"]["authentication_type"]), (self.user, "realm"))
        me = client.security.authenticate()
        self.assertEqual((me["username"], me["authentication_type"]), (self.user, "token"))

    def test_refresh(self):
        """TK-25 TK-28 TK-29 TK-30 a refresh gives another pair, and once more the same; the old access token stays"""
        made, client = self.pair()
        request = {"grant_type": "refresh_token", "refresh_token": made["refresh_token"]}
        first, again = admin.security.get_token(body=request), admin.security.get_token(body=request)
        self.assertEqual(first["authentication"]["authentication_type"], "token")
        for half in ["access_token", "refresh_token"]:
            self.assertNotEqual(first[half], made[half])
            self.assertEqual(first[half], again[half])
        bearer(first["access_token"]).security.authenticate()
        client.security.authenticate()

    def test_invalid_grant(self):
        """TK-37 TK-38 a refresh token that is not good is an invalid grant"""
        made, _ = self.pair()
        self.denied("invalid_grant", grant_type="refresh_token", refresh_token="not base64!")
        self.invalidate(1, 0, refresh_token=made["refresh_token"])
        self.assertIn("token has been invalidated", self.denied("invalid_grant", grant_type="refresh_token", refresh_token=made["refresh_token"]))

    def test_rules(self):
        """TK-10 TK-11 members that do not fit the grant are refused in the words of OAuth2"""
        self.denied("unsupported_grant_type", grant_type="authorization_code")
        self.denied("invalid_request", grant_type="password", password=self.word)

    def test_invalidate_token(self):
        """TK-39 TK-40 TK-52 TK-53 by token and by refresh token, and the same again"""
        made, client = self.pair()
        self.invalidate(1, 0, token=made["access_token"])
        self.off(client)
        self.invalidate(0, 1, token=made["access_token"])
        self.invalidate(1, 0, refresh_token=made["refresh_token"])
        self.invalidate(0, 1, refresh_token=made["refresh_token"])

    def test_invalidate_many(self):
        """TK-45 TK-47 by username, by realm, and by both"""
        for selector in [{"username": self.user}, {"realm_name": "default_native"}, {"username": self.user, "realm_name": "default_native"}]:
            with self.subTest(selector):
                admin.security.invalidate_token(body={"realm_name": "default_native"})
                (_, a), (_, b) = self.pair(), self.pair()
                self.invalidate(4, 0, **selector)
                self.off(a, b)

    def test_unknown(self):
        """TK-43 an unknown token is a 404 with counters, of which the client makes an error unless it is told not to"""
        self.pair()
        counters = {"invalidated_tokens": 0, "previously_invalidated_tokens": 0, "error_count": 0}
        for selector in [{"token": "not base64!"}, {"refresh_token": "bm90IGEgdG9rZW4="}]:
            with self.assertRaises(NotFoundError) as raised:
                admin.security.invalidate_token(body=selector)
            self.assertEqual((raised.exception.status_code, raised.exception.info), (404, counters))
            self.assertEqual(admin.security.invalidate_token(body=selector, ignore=404), counters)
