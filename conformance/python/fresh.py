"""A server that has not issued a token yet; each client has one to itself. Release
7.17 takes the members of a body as one, and names its errors differently."""

import base64
import os
import secrets
import unittest

import elasticsearch

release = elasticsearch.__version__[0]
credential = ("elastic", os.environ["LATCHKEY_PASSWORD"])
admin = elasticsearch.Elasticsearch([os.environ["LATCHKEY_URL"]], **{"http_auth" if release == 7 else "basic_auth": credential})


def call(method, **members):
    return method(body=members) if release == 7 else method(**members)


class FreshServer(unittest.TestCase):
    def refused(self, status, selector):
        with self.assertRaises(elasticsearch.TransportError if release == 7 else elasticsearch.ApiError) as raised:
            call(admin.security.invalidate_token, **selector)
        self.assertEqual(raised.exception.status_code, status)
        return raised.exception.info

    def unknown(self, selector):
        counters = {"invalidated_tokens": 0, "previously_invalidated_tokens": 0, "error_count": 0}
        self.assertEqual(self.refused(404, selector), counters)

    def test_unknown(self):
        """TK-1 TK-4 TK-7 TK-43 TK-44 well-formed tokens are a 400 until the first is issued, and then a 404"""
        garbage = "this is not base64 at all"
        decodes = base64.b64encode(b"no token, though it decodes").decode()
        # The form that tokens of Elasticsearch have.
        original = base64.b64encode(bytes.fromhex("e3a4e80318") + secrets.token_bytes(24)).decode()

        for text in [decodes, original]:
            for kind in ["token", "refresh_token"]:
                body = self.refused(400, {kind: text})
                self.assertEqual((body["status"], body["error"]["type"]), (400, "security_exception"))
        for kind in ["token", "refresh_token"]:
            self.unknown({kind: garbage})

        made = call(admin.security.get_token, grant_type="client_credentials")
        self.assertTrue(made["access_token"])
        self.assertEqual((made["type"], made["expires_in"], "scope" in made), ("Bearer", 1200, False))

        for text in [garbage, decodes, original]:
            for kind in ["token", "refresh_token"]:
                self.unknown({kind: text})
