"""API keys searched with release 7.17 of the client; the calls that came later are
requests of its own."""

import secrets
import unittest

from elasticsearch import AuthenticationException, AuthorizationException, NotFoundError, RequestError

from release7 import connect, password

admin = connect(http_auth=("elastic", password))


def unique(prefix):
    return f"{prefix}-{secrets.token_hex(5)}"


def names(answer):
    return [k["name"] for k in answer["api_keys"]]


def shown(id, **params):
    [k] = admin.security.get_api_key(params={"id": id, **params})["api_keys"]
    return k


class Keys(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        """Makes two keys; nobody else's names begin with prefix."""
        self.prefix = unique("q")
        self.a = admin.security.create_api_key(body={"name": f"{self.prefix}-a", "metadata": {"env": "prod"}})
        self.b = admin.security.create_api_key(body={"name": f"{self.prefix}-b", "metadata": {"env": "test"}, "expiration": "1d"})

    def refused(self, error, kind, call, *args, **params):
        with self.assertRaises(error) as raised:
            call(*args, **params)
        self.assertEqual(raised.exception.info["error"]["type"], kind)
        return raised.exception.info["error"]

    def query(self, **body):
        return admin.security.query_api_keys(body={"query": {"prefix": {"name": self.prefix}}, **body})

    def request(self, method, path, **body):
        return admin.transport.perform_request(method, path, headers={"content-type": "application/json"}, body=body)

    def test_query(self):
        """AK-67 AK-68 AK-73 AK-77 AK-78 AK-80 filters, order and pages"""
        self.assertEqual(admin.security.query_api_keys(body={"query": {"ids": {"values": [self.a["id"]]}}})["total"], 1)
        expiring = {"bool": {"must": [{"prefix": {"name": self.prefix}}, {"exists": {"field": "expiration"}}]}}
        self.assertEqual(names(self.query(query=expiring)), [f"{self.prefix}-b"])
        page = self.query(sort=[{"name": {"order": "desc"}}], size=1)
        self.assertEqual((names(page), page["total"]), ([f"{self.prefix}-b"], 2))
        rest = self.query(sort=[{"name": {"order": "desc"}}], size=1, search_after=page["api_keys"][0]["_sort"])
        self.assertEqual((names(rest), rest["api_keys"][0]["_sort"]), ([f"{self.prefix}-a"], [f"{self.prefix}-a"]))
        self.assertEqual(self.query(size=0), {"total": 2, "count": 0, "api_keys": []})
        self.refused(RequestError, "illegal_argument_exception", self.query, query={"term": {"realm": "x"}})

    def test_callers(self):
        """AK-65 AK-66 a key sees itself, and others nothing"""
        body = {"name": unique("key"), "role_descriptors": {"own": {"cluster": ["manage_own_api_key", "monitor"]}}}
        own = admin.security.create_api_key(body=body)
        self.assertEqual(names(connect(api_key=own["encoded"]).security.query_api_keys()), [own["name"]])
        none = admin.security.create_api_key(body={"name": unique("key"), "role_descriptors": {"none": {"cluster": ["monitor"]}}})
        self.refused(AuthorizationException, "security_exception", connect(api_key=none["encoded"]).security.query_api_keys)

    def test_aggregations(self):
        """AK-82 an aggregation with the name of its type"""
        body = {"query": {"prefix": {"name": self.prefix}}, "size": 0, "aggs": {"env": {"terms": {"field": "metadata.env"}}}}
        got = admin.security.query_api_keys(body=body, params={"typed_keys": "true"})["aggregations"]["sterms#env"]
        self.assertEqual([(b["key"], b["doc_count"]) for b in got["buckets"]], [("prod", 1), ("test", 1)])

    def test_get(self):
        """AK-49 AK-58 with its limits, and only if active"""
        self.assertEqual(list(shown(self.a["id"], with_limited_by="true", active_only="true")["limited_by"][0]), ["superuser"])
        admin.security.invalidate_api_key(body={"ids": [self.a["id"]]})
        with self.assertRaises(NotFoundError) as raised:
            shown(self.a["id"], active_only="true")
        self.assertEqual(raised.exception.info, {"api_keys": []})

    def test_update(self):
        """AK-107 AK-111 AK-115 one key and many"""
        path = f"/_security/api_key/{self.a['id']}"
        self.assertEqual(self.request("PUT", path, metadata={"n": 1}), {"updated": True})
        self.assertEqual(self.request("PUT", path, metadata={"n": 1}), {"updated": False})
        self.refused(NotFoundError, "resource_not_found_exception", self.request, "PUT", f"/_security/api_key/{unique('no')}", metadata={})
        no = unique("no")
        done = self.request("POST", "/_security/api_key/_bulk_update", ids=[self.a["id"], self.b["id"], no], metadata={"n": 1})
        self.assertEqual((done["updated"], done["noops"]), ([self.b["id"]], [self.a["id"]]))
        self.assertEqual(done["errors"]["details"][no]["type"], "resource_not_found_exception")

    def test_cross_cluster(self):
        """AK-117 AK-119 AK-121 a key for another cluster"""
        made = self.request("POST", "/_security/cross_cluster/api_key", name=unique("cross"), access={"search": [{"names": ["a"]}]})
        k = shown(made["id"])
        self.assertEqual((k["type"], k["access"]), ("cross_cluster", {"search": [{"names": ["a"], "allow_restricted_indices": False}]}))
        path = f"/_security/cross_cluster/api_key/{made['id']}"
        self.assertEqual(self.request("PUT", path, access=k["access"]), {"updated": False})
        self.assertEqual(self.request("PUT", path, metadata={"n": 1}), {"updated": True})
        client = connect(api_key=(made["id"], made["api_key"]))
        self.refused(AuthenticationException, "security_exception", client.security.authenticate)

    def test_clone(self):
        """AK-122 a copy, and none of a key that has ended"""
        made = self.request("POST", "/_security/api_key/clone", api_key=self.b["encoded"])
        self.assertEqual((made["name"], made["expiration"]), (self.b["name"], self.b["expiration"]))
        self.assertEqual(shown(made["id"])["metadata"], {"env": "test", "_cloned_from": self.b["id"]})
        admin.security.invalidate_api_key(body={"ids": [self.b["id"]]})
        clone = {"method": "POST", "path": "/_security/api_key/clone", "api_key": self.b["encoded"]}
        self.refused(AuthorizationException, "security_exception", self.request, **clone)
