"""Tokens as an application gets, uses and renews them."""

import base64
from concurrent.futures import ThreadPoolExecutor

from elasticsearch import BadRequestError

from support import Key, Person, Scenarios, Token, admin, connect, unique

CREDENTIALS = {"grant_type": "client_credentials"}


def refresh(token):
    return {"grant_type": "refresh_token", "refresh_token": token.refresh}


def identity(user, kind):
    """A user as a token and its answer tell it."""
    realm = {"name": "default_native", "type": "native"}
    return {
        "username": user.name,
        "roles": [user.role],
        "full_name": None,
        "email": None,
        "metadata": {},
        "enabled": True,
        "authentication_realm": realm,
        "lookup_realm": realm,
        "authentication_type": kind,
    }


class Tokens(Scenarios):
    def denied(self, error, by, **request):
        """Asserts that a request ends in the client's error, which is named for the
        first of the two members of its body, and returns the second."""
        with self.assertRaises(BadRequestError) as raised:
            by.security.get_token(**request)
        err = raised.exception
        self.assertEqual((err.status_code, err.message, list(err.body), err.body["error"]), (400, error, ["error", "error_description"], error))
        return err.body["error_description"]


class GetToken(Tokens):
    def test_client_credentials(self):
        """TK-1 TK-2 TK-4 TK-7 TK-27 for the caller: an access token alone"""
        u = Person("manage_token")
        made = u.client.security.get_token(**CREDENTIALS).body
        self.assertEqual(list(made), ["access_token", "type", "expires_in", "authentication"])
        self.assertEqual((made["type"], made["expires_in"], made["authentication"]), ("Bearer", 1200, identity(u, "realm")))
        self.assertEqual(connect(bearer_auth=made["access_token"]).security.authenticate()["username"], u.name)

    def test_password(self):
        """TK-3 TK-4 TK-7 TK-24 TK-25 TK-27 for a password: a pair for its user, who needs no privilege"""
        u = Person()
        made = Token.of(u).made
        self.assertEqual(list(made), ["access_token", "type", "expires_in", "refresh_token", "authentication"])
        self.assertEqual((made["type"], made["expires_in"], made["authentication"]), ("Bearer", 1200, identity(u, "realm")))

    def test_scope(self):
        """TK-8 a scope is accepted, and is full whatever it was"""
        self.assertEqual(admin.security.get_token(**CREDENTIALS, scope="x")["scope"], "full")

    def test_manage_security(self):
        """TK-23 who manages security gets tokens and invalidates them"""
        u = Person("manage_security")
        made = Token.of(Person(), by=u.client)
        self.assertEqual(u.client.security.invalidate_token(token=made.access)["invalidated_tokens"], 1)
        self.off(made.client)

    def test_rules(self):
        """TK-9 TK-10 TK-11 TK-13 TK-14 members that do not fit the grant are refused in the words of OAuth2"""
        u = Person()
        password = {"grant_type": "password", "username": u.name, "password": u.password}
        for error, request in [
            ("unsupported_grant_type", {"username": u.name}),
            ("unsupported_grant_type", {"grant_type": "authorization_code"}),
            ("unsupported_grant_type", {**password, "refresh_token": "x"}),
            ("unsupported_grant_type", {**CREDENTIALS, "username": u.name}),
            ("invalid_request", {"grant_type": "password", "password": u.password}),
        ]:
            with self.subTest(request):
                self.assertRegex(self.denied(error, admin, **request), "^Validation Failed: 1: .*;$")

    def test_wrong_password(self):
        """TK-18 a wrong password in the body is the 401 of a wrong password"""
        u = Person()
        error = self.refused(
            401, "security_exception", admin.security.get_token, grant_type="password", username=u.name, password="not the password"
        )
        self.assertEqual(error["header"]["WWW-Authenticate"], ['Basic realm="security", charset="UTF-8"', 'Bearer realm="security"', "ApiKey"])

    def test_forbidden(self):
        """TK-21 TK-22 who may not is told so, but first what is wrong with the request"""
        u = Person("monitor")
        error = self.refused(403, "security_exception", u.client.security.get_token, **CREDENTIALS)
        self.assertTrue(
            error["reason"].startswith(f"action [cluster:admin/xpack/security/token/create] is unauthorized for user [{u.name}]"), error["reason"]
        )
        self.denied("unsupported_grant_type", u.client, **CREDENTIALS, username=u.name)


class Use(Tokens):
    def test_identity(self):
        """TK-26 a token acts as its user, in a client of its own and in a single call of another"""
        u = Person("monitor")
        made = Token.of(u)
        self.assertEqual(made.client.security.authenticate().body, identity(u, "token"))
        self.assertEqual(admin.options(bearer_auth=made.access).security.authenticate().body, identity(u, "token"))
        made.client.info()
        self.refused(403, "security_exception", made.client.security.get_user, username=u.name)

    def test_no_token(self):
        """TK-55 TK-56 what is no access token is refused like any wrong credential"""
        for text in [unique("no-token"), Token.of(Person()).refresh]:
            error = self.refused(401, "security_exception", connect(bearer_auth=text).security.authenticate)
            self.assertEqual(error["additional_unsuccessful_credentials"], "oauth2 token: invalid token")
            self.assertEqual(error["header"]["WWW-Authenticate"], ['Basic realm="security", charset="UTF-8"', 'Bearer realm="security"', "ApiKey"])

    def test_of_a_key(self):
        """TK-62 a token that an API key got has its rights and dies with it"""
        u = Person("manage_token", "manage_own_api_key")
        k = Key(u.client, role_descriptors={"tokens": {"cluster": ["manage_token"]}})
        made = Token(k.client)
        me = made.client.security.authenticate()
        self.assertEqual((me["username"], me["authentication_type"], me["api_key"]["id"]), (u.name, "token", k.id))
        self.refused(403, "security_exception", made.client.security.get_api_key, owner=True)
        admin.security.invalidate_api_key(ids=[k.id])
        self.off(made.client)
        self.assertEqual(
            admin.security.invalidate_token(token=made.access).body,
            {"invalidated_tokens": 0, "previously_invalidated_tokens": 1, "error_count": 0},
        )


class Refresh(Tokens):
    def test_refresh(self):
        """TK-25 TK-28 TK-29 gives another pair, and the old access token stays"""
        u = Person()
        first = Token.of(u)
        second = Token(admin, **refresh(first))
        self.assertEqual(list(second.made), ["access_token", "type", "expires_in", "refresh_token", "authentication"])
        self.assertEqual((second.made["type"], second.made["expires_in"], second.made["authentication"]), ("Bearer", 1200, identity(u, "token")))
        self.assertEqual(len({first.access, first.refresh, second.access, second.refresh}), 4)
        first.client.security.authenticate()

    def test_once_more(self):
        """TK-30 the same once more gives the same pair"""
        first = Token.of(Person())
        second, again = Token(admin, **refresh(first)), Token(admin, **refresh(first))
        self.assertEqual((again.access, again.refresh), (second.access, second.refresh))
        self.assertNotEqual(Token(admin, **refresh(second)).access, second.access)

    def test_many(self):
        """TK-31 many at once get one pair, which works for each"""
        first = Token.of(Person())
        with ThreadPoolExecutor(8) as threads:
            got = list(threads.map(lambda _: Token(admin, **refresh(first)), range(16)))
        self.assertEqual(len({(made.access, made.refresh) for made in got}), 1)

    def test_bearer(self):
        """TK-34 by the same user with a token in place of the password"""
        u = Person("manage_token")
        first = Token.of(u, by=u.client)
        Token(first.client, **refresh(first))

    def test_invalid_grant(self):
        """TK-33 TK-37 TK-38 a refresh token that is not good is an invalid grant, and the caller stays logged in"""
        other, first = Person("manage_token"), Token.of(Person())
        self.assertIn("tokens must be refreshed by the creating client", self.denied("invalid_grant", other.client, **refresh(first)))
        admin.security.invalidate_token(refresh_token=first.refresh)
        self.assertIn("token has been invalidated", self.denied("invalid_grant", admin, **refresh(first)))
        for garbage in [unique("not base64!"), base64.b64encode(unique("base64").encode()).decode(), first.access]:
            self.denied("invalid_grant", admin, grant_type="refresh_token", refresh_token=garbage)


class InvalidateTokens(Tokens):
    """Each access token has authenticated before, and its very next request is refused."""

    def invalidate(self, now, before, by=admin, **selector):
        """Asserts how many tokens were invalidated now and before."""
        # Without errors there are no details of them either.
        self.assertEqual(
            by.security.invalidate_token(**selector).body,
            {"invalidated_tokens": now, "previously_invalidated_tokens": before, "error_count": 0},
        )

    def neither(self, *pairs):
        """Asserts that both tokens of pairs are off."""
        for pair in pairs:
            self.off(pair.client)
            self.denied("invalid_grant", admin, **refresh(pair))

    def test_token(self):
        """TK-39 TK-41 TK-52 TK-53 by token, and the same again; the refresh token stays"""
        made = Token.of(Person())
        self.invalidate(1, 0, token=made.access)
        self.off(made.client)
        self.invalidate(0, 1, token=made.access)
        admin.security.get_token(**refresh(made))

    def test_refresh_token(self):
        """TK-42 TK-52 by refresh token, and the same again; the access token stays"""
        made = Token.of(Person())
        self.invalidate(1, 0, refresh_token=made.refresh)
        self.invalidate(0, 1, refresh_token=made.refresh)
        self.denied("invalid_grant", admin, **refresh(made))
        made.client.security.authenticate()

    def test_both(self):
        """TK-40 one half after the other"""
        made = Token.of(Person())
        self.invalidate(1, 0, token=made.access)
        self.invalidate(1, 0, refresh_token=made.refresh)
        self.neither(made)

    def test_username(self):
        """TK-45 by username: both halves of each pair of that user and of nobody else"""
        u, v = Person("manage_token"), Person()
        a, b, alone, other = Token.of(u), Token.of(u), Token(u.client), Token.of(v)
        self.invalidate(5, 0, username=u.name)
        self.neither(a, b)
        self.off(alone.client)
        other.client.security.authenticate()
        self.invalidate(0, 0, username=u.name)

    def test_realm(self):
        """TK-45 TK-46 by realm: all of that realm and of no other"""
        admin.security.invalidate_token(realm_name="default_native")
        a, b, other = Token.of(Person()), Token.of(Person()), Token(admin)
        self.invalidate(4, 0, realm_name="default_native")
        self.neither(a, b)
        other.client.security.authenticate()
        self.invalidate(0, 0, realm_name=unique("no"))

    def test_username_and_realm(self):
        """TK-47 by username and realm: both must fit"""
        u = Person()
        made = Token.of(u)
        self.invalidate(0, 0, username=u.name, realm_name="reserved")
        made.client.security.authenticate()
        self.invalidate(2, 0, username=u.name, realm_name="default_native")
        self.neither(made)

    def test_itself(self):
        """a token may invalidate itself"""
        made = Token(Person("manage_token").client)
        self.invalidate(1, 0, by=made.client, token=made.access)
        self.off(made.client)

    def test_unknown(self):
        """TK-43 an unknown token, or one of the other kind, is a 404 with counters"""
        made = Token.of(Person())
        self.unknown(token=unique("not base64!"))
        self.unknown(refresh_token=base64.b64encode(unique("base64").encode()).decode())
        self.unknown(token=made.refresh)
        self.unknown(refresh_token=made.access)
        made.client.security.authenticate()

    def test_no_selector(self):
        """TK-48 TK-49 TK-50 a request without a clear selector changes nothing"""
        u = Person()
        made = Token.of(u)
        for selector in [
            {"token": ""},
            {"username": " "},
            {"token": made.access, "username": u.name},
            {"refresh_token": made.refresh, "realm_name": "default_native"},
        ]:
            with self.subTest(selector):
                self.refused(400, "action_request_validation_exception", admin.security.invalidate_token, **selector)
        error = self.refused(400, "x_content_parse_exception", admin.security.invalidate_token, token=made.access, refresh_token=made.refresh)
        self.assertEqual(error["caused_by"]["type"], "illegal_argument_exception")
        made.client.security.authenticate()

    def test_forbidden(self):
        """who may not invalidate is told so"""
        u = Person("monitor")
        made = Token.of(u)
        error = self.refused(403, "security_exception", u.client.security.invalidate_token, token=made.access)
        self.assertTrue(
            error["reason"].startswith(f"action [cluster:admin/xpack/security/token/invalidate] is unauthorized for user [{u.name}]"), error["reason"]
        )
        made.client.security.authenticate()
