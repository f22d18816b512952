"""API keys as their administrator handles them: searched, changed, made for other
clusters, copied, and shown with all that can be asked for."""

import time

from elasticsearch import NotFoundError

from support import Key, Person, Scenarios, admin, connect, major, unique

DAY = 86_400_000
READS = {"read": {"cluster": ["monitor"]}}
ACCESS = {"search": [{"names": ["logs-*"]}], "replication": [{"names": ["archive"]}]}


def query(prefix, **params):
    """Searches the keys whose names begin so."""
    return admin.security.query_api_keys(query={"prefix": {"name": prefix}}, **params)


def names(answer):
    return [k["name"] for k in answer["api_keys"]]


def shown(id, **params):
    [k] = admin.security.get_api_key(id=id, **params)["api_keys"]
    return k


def clone(by, **params):
    """Copies a key; release 8 of the client has no call for it."""
    if major == 8:
        headers = {"accept": "application/json", "content-type": "application/json"}
        return by.perform_request("POST", "/_security/api_key/clone", headers=headers, body=params)
    return by.security.clone_api_key(**params)


def activate(user):
    return admin.security.activate_user_profile(grant_type="password", username=user.name, password=user.password)["uid"]


class Three(Scenarios):
    """Has three keys of two users: a and b, which expires, of u; c, which is invalidated,
    of v. Nobody else's names begin with prefix."""

    def setUp(self):
        self.prefix = unique("q")
        self.u, self.v = Person("manage_own_api_key"), Person("manage_own_api_key")
        self.a = Key(self.u.client, name=f"{self.prefix}-a", metadata={"env": "prod", "size": 42, "letter": "z"})
        more = {"metadata": {"env": "test", "letter": "y"}, "expiration": "1d", "role_descriptors": READS}
        self.b = Key(self.u.client, name=f"{self.prefix}-b", **more)
        self.c = Key(self.v.client, name=f"{self.prefix}-c", metadata={"env": "prod", "letter": "x"})
        admin.security.invalidate_api_key(ids=[self.c.id])


class Query(Three):
    def test_ids(self):
        """AK-63 AK-67 without a body ten of all, and by ids those, whole"""
        some = admin.security.query_api_keys()
        self.assertEqual(some["count"], len(some["api_keys"]))
        self.assertLessEqual(some["count"], 10)
        self.assertGreaterEqual(some["total"], 3)
        answer = admin.security.query_api_keys(query={"ids": {"values": [self.a.id, self.b.id, unique("no")]}}, sort=["name"])
        self.assertEqual((answer["total"], answer["count"]), (2, 2))
        b = answer["api_keys"][1]
        self.assertEqual(b.pop("expiration"), b.pop("creation") + DAY)
        self.assertEqual(b.pop("role_descriptors")["read"]["cluster"], ["monitor"])
        self.assertEqual(b, {
            "id": self.b.id, "name": self.b.name, "type": "rest", "invalidated": False, "username": self.u.name,
            "realm": "default_native", "realm_type": "native", "metadata": {"env": "test", "letter": "y"}, "_sort": [self.b.name],
        })  # fmt: skip

    def test_filters(self):
        """AK-68 AK-70 AK-71 AK-72 AK-73 AK-75 filters of every kind"""
        for ends, wanted in [
            ("abc", {"match_all": {}}),
            ("ab", {"term": {"username": self.u.name}}),
            ("abc", {"term": {"realm_name": "default_native"}}),
            ("ac", {"terms": {"name": [self.a.name, self.c.name]}}),
            ("b", {"wildcard": {"name": "*-b"}}),
            ("a", {"term": {"metadata.size": 42}}),
            ("abc", {"range": {"creation": {"lte": "now", "gt": "now-1h"}}}),
            ("b", {"exists": {"field": "expiration"}}),
            ("c", {"term": {"invalidated": True}}),
            ("ac", {"match": {"metadata.env": "prod"}}),
            ("b", {"simple_query_string": {"query": "test", "fields": ["metadata"]}}),
            ("", {"simple_query_string": {"query": "api_key", "fields": ["doc_type"]}}),
            ("a", {"bool": {"must": [{"term": {"metadata.env": "prod"}}], "must_not": [{"term": {"invalidated": True}}]}}),
        ]:
            with self.subTest(wanted):
                both = {"bool": {"filter": [{"prefix": {"name": self.prefix}}, wanted]}}
                answer = admin.security.query_api_keys(query=both, sort=["name"])
                self.assertEqual((names(answer), answer["total"]), ([f"{self.prefix}-{end}" for end in ends], len(ends)))

    def test_refusals(self):
        """AK-68 AK-69 AK-74 AK-76 AK-81 AK-84 what no search may ask is a typed 400"""
        for wrong in [
            {"query": {"term": {"realm": "x"}}},
            {"query": {"term": {"api_key_hash": "x"}}},
            {"query": {"fuzzy": {"name": "x"}}},
            {"sort": ["doc_type"]},
            {"aggs": {"x": {"global": {}}}},
        ]:
            with self.subTest(wrong):
                self.refused(400, "illegal_argument_exception", admin.security.query_api_keys, **wrong)
        self.refused(400, "parsing_exception", admin.security.query_api_keys, query={"nothing_like_it": {}})
        self.refused(400, "action_request_validation_exception", admin.security.query_api_keys, size=-1)
        self.refused(400, "search_phase_execution_exception", admin.security.query_api_keys, from_=9999, size=2)

    def test_sort(self):
        """AK-78 AK-79 AK-81 sorted by texts, times and metadata"""
        for sort, ends in [
            (["name"], "abc"),
            ([{"name": {"order": "desc"}}], "cba"),
            ([{"metadata.letter": {"order": "asc"}}], "cba"),
            ([{"expiration": {"missing": "_first"}}, {"name": {"order": "desc"}}], "cab"),
        ]:
            with self.subTest(sort):
                self.assertEqual(names(query(self.prefix, sort=sort)), [f"{self.prefix}-{end}" for end in ends])
        [k] = query(self.a.name, sort={"creation": {"order": "desc"}})["api_keys"]
        self.assertEqual(k["_sort"], [k["creation"]])
        [text] = query(self.a.name, sort=[{"creation": {"format": "date_time"}}])["api_keys"]
        self.assertRegex(text["_sort"][0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertNotIn("_sort", query(self.a.name)["api_keys"][0])

    def test_pages(self):
        """AK-77 AK-80 page by page with search_after, by from and size, and none of them"""
        sort = ["name", {"creation": {"order": "asc"}}]
        page = query(self.prefix, sort=sort, size=2)
        self.assertEqual((names(page), page["total"]), ([self.a.name, self.b.name], 3))
        rest = query(self.prefix, sort=sort, size=2, search_after=page["api_keys"][-1]["_sort"])
        self.assertEqual((names(rest), rest["total"]), ([self.c.name], 3))
        end = query(self.prefix, sort=sort, size=2, search_after=rest["api_keys"][-1]["_sort"])
        self.assertEqual(end.body, {"total": 3, "count": 0, "api_keys": []})
        self.assertEqual(names(query(self.prefix, sort=sort, from_=1, size=10)), [self.b.name, self.c.name])
        self.assertEqual(query(self.prefix, size=0).body, {"total": 3, "count": 0, "api_keys": []})

    def test_aggregations(self):
        """AK-82 AK-83 AK-85 aggregations, with the names of their types and without"""
        pairs = [{"user": {"terms": {"field": "username"}}}, {"env": {"terms": {"field": "metadata.env"}}}]
        aggs = {
            "owners": {"terms": {"field": "username"}},
            "ended": {"terms": {"field": "invalidated"}},
            "users": {"cardinality": {"field": "username"}},
            "expiring": {"value_count": {"field": "expiration"}},
            "forever": {"missing": {"field": "expiration"}},
            "live": {"filter": {"term": {"invalidated": False}}, "aggs": {"env": {"terms": {"field": "metadata.env"}}}},
            "envs": {"filters": {"filters": {"prod": {"term": {"metadata.env": "prod"}}}}},
            "when": {"date_range": {"field": "creation", "ranges": [{"key": "today", "from": "now-1h"}]}},
            "soon": {"range": {"field": "expiration", "keyed": True, "ranges": [{"key": "any", "from": 0}]}},
            "pairs": {"composite": {"size": 1, "sources": pairs}},
        }
        kinds = {"owners": "sterms", "ended": "lterms", "users": "cardinality", "expiring": "value_count", "forever": "missing",
                 "live": "filter", "envs": "filters", "when": "date_range", "soon": "range", "pairs": "composite", "env": "sterms"}  # fmt: skip

        def counts(terms):
            return {b.get("key_as_string", b["key"]): b["doc_count"] for b in terms["buckets"]}

        def check(got, name):
            self.assertEqual(counts(got[name("owners")]), {self.u.name: 2, self.v.name: 1})
            self.assertEqual(counts(got[name("ended")]), {"false": 2, "true": 1})
            self.assertEqual((got[name("users")]["value"], got[name("expiring")]["value"], got[name("forever")]["doc_count"]), (2, 1, 2))
            live = got[name("live")]
            self.assertEqual((live["doc_count"], counts(live[name("env")])), (2, {"prod": 1, "test": 1}))
            self.assertEqual(got[name("envs")]["buckets"], {"prod": {"doc_count": 2}})
            self.assertEqual(counts(got[name("when")]), {"today": 3})
            self.assertEqual(got[name("soon")]["buckets"]["any"]["doc_count"], 1)
            key = {"user": min(self.u.name, self.v.name), "env": "prod"}
            self.assertEqual(got[name("pairs")], {"after_key": key, "buckets": [{"key": key, "doc_count": 1}]})

        plain = query(self.prefix, size=0, aggs=aggs)
        self.assertEqual((plain["total"], plain["count"], plain["api_keys"]), (3, 0, []))
        check(plain["aggregations"], lambda name: name)
        typed = query(self.prefix, size=0, aggregations=aggs, typed_keys=True)
        check(typed["aggregations"], lambda name: f"{kinds[name]}#{name}")
        self.assertEqual(query(unique("no"), aggs=aggs).body, {"total": 0, "count": 0, "api_keys": []})

    def test_callers(self):
        """AK-64 AK-65 AK-66 AK-86 users see their own keys, a key itself, and others nothing"""
        others = {"others": {"filter": {"term": {"username": self.v.name}}}}
        mine = self.u.client.security.query_api_keys(sort=["name"], aggs=others)
        self.assertEqual((names(mine), mine["total"]), ([self.a.name, self.b.name], 2))
        self.assertEqual(mine["aggregations"]["others"]["doc_count"], 0)
        self.assertEqual(names(self.a.client.security.query_api_keys()), [self.a.name])
        stranger = Person("monitor").client
        self.refused(403, "security_exception", stranger.security.query_api_keys)
        self.refused(401, "security_exception", self.c.client.security.query_api_keys)

    def test_more(self):
        """AK-58 with the limits of each key, and the profile of its owner"""
        uid = activate(self.u)
        [k] = query(self.a.name, with_limited_by=True, with_profile_uid=True)["api_keys"]
        self.assertEqual((list(k["limited_by"][0]), len(k["limited_by"]), k["profile_uid"]), ([self.u.role], 1, uid))
        [plain] = query(self.a.name)["api_keys"]
        self.assertFalse({"limited_by", "profile_uid"} & set(plain))


class GetWithMore(Three):
    def test_more(self):
        """AK-49 AK-58 AK-61 with its limits, with its owner's profile, and only if active"""
        uid = activate(self.u)
        k = shown(self.a.id, with_limited_by=True, with_profile_uid=True, active_only=True)
        self.assertEqual((k["profile_uid"], k["limited_by"][0][self.u.role]["cluster"]), (uid, ["manage_own_api_key"]))
        self.refused(403, "security_exception", self.a.client.security.get_api_key, id=self.a.id, with_limited_by=True)
        self.assertTrue(shown(self.c.id)["invalidated"])
        with self.assertRaises(NotFoundError) as raised:
            shown(self.c.id, active_only=True)
        self.assertEqual(raised.exception.body, {"api_keys": []})


class Update(Three):
    def test_update(self):
        """AK-107 AK-109 AK-110 AK-114 what a key carries, while its secret stays"""
        update = self.u.client.security.update_api_key
        change = {"id": self.b.id, "metadata": {"n": [1]}, "role_descriptors": {"none": {}}}
        self.assertEqual(update(**change).body, {"updated": True})
        self.assertFalse(self.b.client.security.has_privileges(cluster=["manage_own_api_key"])["has_all_requested"])
        self.assertEqual(update(**change).body, {"updated": False})
        self.assertEqual(update(id=self.b.id, role_descriptors={}).body, {"updated": True})
        self.assertTrue(self.b.client.security.has_privileges(cluster=["manage_own_api_key"])["has_all_requested"])
        self.assertEqual(update(id=self.b.id).body, {"updated": False})
        for _ in range(2):
            self.assertEqual(update(id=self.b.id, expiration="2d").body, {"updated": True})
        k = shown(self.b.id)
        self.assertEqual((k["metadata"], k["role_descriptors"]), ({"n": [1]}, {}))
        self.assertGreater(k["expiration"], time.time() * 1000 + DAY)
        connect(api_key=self.b.encoded).security.authenticate()

    def test_refusals(self):
        """AK-111 AK-112 AK-113 nobody else's key, no key that has ended, and by no key"""
        for id in [self.a.id, unique("no")]:
            self.refused(404, "resource_not_found_exception", admin.security.update_api_key, id=id, metadata={})
        self.refused(400, "illegal_argument_exception", self.v.client.security.update_api_key, id=self.c.id, metadata={})
        self.refused(400, "illegal_argument_exception", self.a.client.security.update_api_key, id=self.a.id, metadata={})

    def test_bulk(self):
        """AK-115 AK-116 many at once, each with an outcome of its own"""
        bulk, no = self.u.client.security.bulk_update_api_keys, unique("no")
        answer = bulk(ids=[self.a.id, self.b.id, no, self.c.id], metadata={"env": "test", "letter": "y"})
        self.assertEqual((answer["updated"], answer["noops"], answer["errors"]["count"]), ([self.a.id], [self.b.id], 2))
        types = {id: error["type"] for id, error in answer["errors"]["details"].items()}
        self.assertEqual(types, {no: "resource_not_found_exception", self.c.id: "resource_not_found_exception"})
        self.assertEqual(bulk(ids=self.a.id, metadata={}).body, {"updated": [self.a.id], "noops": []})
        self.refused(400, "action_request_validation_exception", bulk, ids=[], metadata={})


class CrossCluster(Scenarios):
    def test_life(self):
        """AK-62 AK-117 AK-119 made, shown and changed"""
        # Release 8 of the client does not know the member.
        identity = {} if major == 8 else {"certificate_identity": "CN=other,.*"}
        made = admin.security.create_cross_cluster_api_key(name=unique("cross"), access=ACCESS, expiration="1d", metadata={"a": 1}, **identity)
        self.assertEqual(set(made.body), {"id", "name", "expiration", "api_key", "encoded"})
        k = shown(made["id"], with_limited_by=True)
        normal = {kind: [{**entries[0], "allow_restricted_indices": False}] for kind, entries in ACCESS.items()}
        self.assertEqual((k["type"], k["access"], list(k["role_descriptors"])), ("cross_cluster", normal, ["cross_cluster"]))
        self.assertNotIn("limited_by", k)
        self.assertEqual(k.get("certificate_identity"), identity.get("certificate_identity"))
        update = admin.security.update_cross_cluster_api_key
        self.assertEqual(update(id=made["id"], access=k["access"]).body, {"updated": False})
        self.assertEqual(update(id=made["id"], access={"search": [{"names": "*"}]}, metadata={}).body, {"updated": True})
        found = admin.security.query_api_keys(query={"bool": {"filter": [{"term": {"type": "cross_cluster"}}, {"ids": {"values": made["id"]}}]}})
        self.assertEqual([(list(k["access"]), k["metadata"]) for k in found["api_keys"]], [(["search"], {})])

    def test_refusals(self):
        """AK-101 AK-117 AK-118 AK-120 AK-121 not by whoever manages keys alone, not without access, and not for requests"""
        a = Person("manage_api_key").client
        create = admin.security.create_cross_cluster_api_key
        self.refused(403, "security_exception", a.security.create_cross_cluster_api_key, name="x", access=ACCESS)
        self.refused(400, "illegal_argument_exception", Key(admin).client.security.create_cross_cluster_api_key, name="x", access=ACCESS)
        self.refused(400, "x_content_parse_exception", create, name="x", access={})
        made = create(name=unique("cross"), access=ACCESS)
        error = self.refused(401, "security_exception", connect(api_key=made["encoded"]).security.authenticate)
        reason = f"authentication expected API key type of [rest], but API key [{made['id']}] has type [cross_cluster]"
        self.assertEqual(error["reason"], reason)
        self.refused(400, "illegal_argument_exception", admin.security.update_api_key, id=made["id"], metadata={})
        answer = a.security.invalidate_api_key(ids=[made["id"]])
        self.assertEqual((answer["invalidated_api_keys"], [e["type"] for e in answer["error_details"]]), ([], ["security_exception"]))


class Clone(Three):
    def test_copy(self):
        """AK-122 a copy has the same owner and rights, and a secret and life of its own"""
        made = clone(admin, api_key=self.b.encoded, name=unique("copy"))
        self.assertEqual(set(made.body), {"id", "name", "expiration", "api_key", "encoded"})
        k, source = shown(made["id"]), shown(self.b.id)
        self.assertEqual(k["metadata"], {**source["metadata"], "_cloned_from": self.b.id})
        for member in ["username", "realm", "role_descriptors", "expiration"]:
            self.assertEqual(k[member], source[member])
        forever = clone(admin, api_key=self.b.encoded, expiration="-1", metadata={})
        self.assertEqual((forever["name"], "expiration" in forever), (self.b.name, False))
        admin.security.invalidate_api_key(ids=[self.b.id])
        self.dead(self.b.client)
        self.assertEqual(connect(api_key=made["encoded"]).security.authenticate()["username"], self.u.name)

    def test_refusals(self):
        """AK-122 of no key that does not authenticate, and of no garbage"""
        error = self.refused(403, "security_exception", clone, by=admin, api_key=self.c.encoded)
        self.assertEqual(error["caused_by"]["type"], "security_exception")
        self.refused(400, "status_exception", clone, by=admin, api_key="no credential")
        self.refused(403, "security_exception", clone, by=Person("monitor").client, api_key=self.a.encoded)
