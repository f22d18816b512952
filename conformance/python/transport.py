"""What the client does beneath its calls: sniffing, warnings, compression."""

import os
import warnings
from urllib.parse import urlsplit

from elasticsearch import ElasticsearchWarning

from support import Key, Scenarios, admin, connect, password, unique, url


class Sniffing(Scenarios):
    """The client looks for nodes with the credentials of the address alone."""

    by_name = url.replace("127.0.0.1", "localhost").replace("//", f"//elastic:{password}@")

    def assert_works(self, client):
        """Asserts that the client has found the address that it was not given, and talks to all it has in turn."""
        for _ in range(4):
            client.security.authenticate()
        self.assertIn(urlsplit(url).hostname, [node.host for node in client.transport.node_pool.all()])

    def test_on_start(self):
        """HT-56 a client that looks for nodes at its start works afterwards"""
        self.assert_works(connect(self.by_name, sniff_on_start=True))

    def test_before_requests(self):
        """HT-56 a client that looks for nodes before its requests works afterwards"""
        self.assert_works(connect(self.by_name, sniff_before_requests=True, min_delay_between_sniffing=0))


class Warned(Scenarios):
    def heard(self, *calls):
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            for call in calls:
                call()
        return [str(w.message) for w in heard if issubclass(w.category, ElasticsearchWarning)]

    def test_silence(self):
        """HT-52 no call of the main job is warned about"""
        user = unique("user")
        self.assertEqual([], self.heard(
            admin.info,
            lambda: admin.security.put_user(username=user, password="correct horse", roles=[]),
            lambda: admin.security.create_api_key(name=unique("key")),
            lambda: admin.security.get_api_key(owner=True),
            lambda: admin.security.has_privileges(cluster=["monitor"]),
            lambda: admin.security.invalidate_api_key(username=user),
            lambda: admin.security.clear_api_key_cache(ids="*"),
            lambda: admin.security.delete_user(username=user),
        ))

    def test_warning(self):
        """HT-52 a warning in the server's form is understood"""
        client = connect(os.environ["LATCHKEY_WARNED_URL"], api_key=Key(admin).encoded)
        self.assertEqual([os.environ["LATCHKEY_WARNING"]], self.heard(client.security.authenticate))


class Compression(Scenarios):
    def test_both_ways(self):
        """HT-53 a compressed request is read, and its answer is compressed"""
        packed = connect(api_key=Key(admin).encoded, http_compress=True)
        metadata = {"text": "x" * 5000}
        made = packed.security.create_api_key(name=unique("key"), metadata=metadata, role_descriptors={"none": {}})
        shown = packed.security.get_api_key(id=made["id"])
        self.assertEqual(shown.meta.headers["content-encoding"], "gzip")
        self.assertEqual(shown["api_keys"][0]["metadata"], metadata)
