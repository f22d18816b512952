"""A client that trusts one certificate authority by its fingerprint."""

import os

from elastic_transport import TlsError

from support import Scenarios, connect, password, unique

fingerprint = os.environ["LATCHKEY_CA_FINGERPRINT"]


def pinned(ssl_assert_fingerprint, **credential):
    return connect(ssl_assert_fingerprint=ssl_assert_fingerprint, **credential)


class Fingerprint(Scenarios):
    def test_right(self):
        """HT-57 a client that pins the authority completes the main job"""
        admin = pinned(fingerprint, basic_auth=("elastic", password))
        made = admin.security.create_api_key(name=unique("pinned"))
        holder = pinned(fingerprint, api_key=made["encoded"])
        self.assertEqual(holder.security.authenticate()["api_key"]["id"], made["id"])
        admin.security.invalidate_api_key(ids=[made["id"]])
        self.dead(holder)

    def test_wrong(self):
        """HT-57 a client that pins another authority does not talk to the server"""
        wrong = ("01" if fingerprint.startswith("00") else "00") + fingerprint[2:]
        with self.assertRaises(TlsError) as raised:
            pinned(wrong, basic_auth=("elastic", password)).info()
        self.assertIn("Fingerprints did not match", str(raised.exception.__cause__))
