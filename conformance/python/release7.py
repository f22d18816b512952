"""Release 7.17 of the client, which asks who the server is before its first call."""

import os
import secrets
import unittest
import warnings

from elasticsearch import AuthenticationException, Elasticsearch, ElasticsearchWarning

url = os.environ["LATCHKEY_URL"]
password = os.environ["LATCHKEY_PASSWORD"]


def connect(**credential):
    return Elasticsearch([url], max_retries=0, **credential)


class Release7(unittest.TestCase):
    def test_product_check(self):
        """HT-7 the product check passes, and a key is made, used and invalidated"""
        admin = connect(http_auth=("elastic", password))
        with warnings.catch_warnings():
            warnings.simplefilter("error", ElasticsearchWarning)
            made = admin.security.create_api_key(body={"name": f"key-{secrets.token_hex(5)}"})
            key = connect(api_key=(made["id"], made["api_key"]))
            self.assertEqual(key.security.authenticate()["username"], "elastic")
            self.assertTrue(admin.transport._verified_elasticsearch)
            gone = admin.security.invalidate_api_key(body={"ids": [made["id"]]})
        self.assertEqual(gone, {"invalidated_api_keys": [made["id"]], "previously_invalidated_api_keys": [], "error_count": 0})
        with self.assertRaises(AuthenticationException) as raised:
            key.security.authenticate()
        self.assertEqual(raised.exception.info["error"]["type"], "security_exception")

    def test_refused_check(self):
        """HT-7 a caller who may not ask who the server is completes its call all the same"""
        admin = connect(http_auth=("elastic", password))
        made = admin.security.create_api_key(body={"name": f"key-{secrets.token_hex(5)}", "role_descriptors": {"none": {}}})
        with self.assertWarnsRegex(ElasticsearchWarning, "unable to verify that the server is Elasticsearch"):
            me = connect(api_key=(made["id"], made["api_key"])).security.authenticate()
        self.assertEqual(me["authentication_type"], "api_key")
