"""Users, roles and API keys as an application manages them."""

import base64
import time

from elasticsearch import NotFoundError

from support import Key, Person, Scenarios, admin, connect, major, unique

DAY = 86_400_000


class FirstContact(Scenarios):
    def test_info(self):
        """HT-4 HT-8 info tells the whole identity of the server"""
        info = admin.info()
        self.assertEqual(info.meta.headers["x-elastic-product"], "Elasticsearch")
        self.assertRegex(info["cluster_uuid"], r"^[\w-]{22}$")
        self.assertRegex(info["version"]["number"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(info["tagline"], "You Know, for Search")

    def test_ping(self):
        """HT-5 ping is true"""
        self.assertTrue(admin.ping())

    def test_media_type(self):
        answer = admin.security.has_privileges(cluster=["monitor"])
        self.assertEqual(answer.meta.headers["content-type"], f"application/vnd.elasticsearch+json;compatible-with={major}")

    test_media_type.__doc__ = {
        9: "HT-10 an answer has the vendored type of release 9",
        8: "HT-11 an answer has the vendored type of release 8",
    }[major]


class UsersAndRoles(Scenarios):
    def test_life(self):
        """a role and a user are put, read and deleted"""
        role, user = unique("role"), unique("user")
        made = admin.security.put_role(
            name=role, cluster=["monitor"], indices=[{"names": ["logs-*"], "privileges": ["read"]}], metadata={"team": "a"}
        )
        self.assertEqual(made.body, {"role": {"created": True}})
        self.assertEqual(admin.security.put_role(name=role, cluster=["monitor"]).body, {"role": {"created": False}})
        self.assertEqual(admin.security.get_role(name=role)[role]["cluster"], ["monitor"])
        details = {"roles": [role], "full_name": "A B", "email": "a@b.c", "metadata": {"n": 1}}
        self.assertEqual(admin.security.put_user(username=user, password="correct horse", **details).body, {"created": True})
        self.assertEqual(admin.security.get_user(username=user).body, {user: {"username": user, "enabled": True, **details}})
        self.assertEqual(admin.security.delete_user(username=user).body, {"found": True})
        self.assertEqual(admin.security.delete_role(name=role).body, {"found": True})
        with self.assertRaises(NotFoundError) as raised:
            admin.security.delete_user(username=user)
        self.assertEqual(raised.exception.body, {"found": False})

    def test_password(self):
        """HT-61 after a change of password the old one fails at once"""
        u = Person()
        u.client.security.authenticate()
        u.client.security.change_password(password="another password")
        self.refused(401, "security_exception", u.client.security.authenticate)
        connect(basic_auth=(u.name, "another password")).security.authenticate()


class Create(Scenarios):
    def test_plain(self):
        """AK-4 AK-5 a key without expiry: id, secret, encoded form"""
        made = Person("manage_own_api_key").client.security.create_api_key(name=unique("key"))
        self.assertEqual(set(made.body), {"id", "name", "api_key", "encoded"})
        self.assertRegex(made["id"], r"^[A-Za-z0-9_-]{20}$")
        self.assertRegex(made["api_key"], r"^lk_[A-Za-z0-9_-]{28}$")
        self.assertEqual(made["encoded"], base64.b64encode(f"{made['id']}:{made['api_key']}".encode()).decode())

    def test_everything(self):
        """AK-6 AK-25 a key with descriptors, expiry and metadata is shown in normal form"""
        before = time.time_ns() // 1_000_000
        made = admin.security.create_api_key(
            name=unique("key"),
            expiration="1d",
            metadata={"app": "shop", "tags": ["a", {"b": None}]},
            role_descriptors={"reader": {"cluster": ["monitor"], "index": [{"names": ["logs-*"], "privileges": ["read"]}]}},
        )
        self.assertAlmostEqual(made["expiration"], before + DAY, delta=60_000)
        [shown] = admin.security.get_api_key(id=made["id"])["api_keys"]
        self.assertEqual((shown["expiration"], shown["metadata"]), (made["expiration"], {"app": "shop", "tags": ["a", {"b": None}]}))
        self.assertEqual(
            shown["role_descriptors"]["reader"]["indices"],
            [{"names": ["logs-*"], "privileges": ["read"], "allow_restricted_indices": False}],
        )

    def test_refusals(self):
        """AK-9 AK-13 AK-16 AK-22 what is wrong with a request is a typed 400"""
        create = admin.security.create_api_key
        self.refused(400, "x_content_parse_exception", create, name=unique("key"), expiration="1w")
        for wrong in [{"name": ""}, {"metadata": {"_x": 1}}, {"role_descriptors": {"a": {"cluster": ["no_such_privilege"]}}}]:
            with self.subTest(wrong):
                self.refused(400, "action_request_validation_exception", create, **{"name": unique("key"), **wrong})

    def test_forbidden(self):
        """AK-31 HT-39 a user who may not is told what would have allowed it"""
        u = Person("monitor")
        error = self.refused(403, "security_exception", u.client.security.create_api_key, name=unique("key"))
        self.assertEqual(
            error["reason"],
            f"action [cluster:admin/xpack/security/api_key/create] is unauthorized for user [{u.name}] with effective roles [{u.role}], "
            "this action is granted by the cluster privileges [manage_own_api_key,manage_api_key,manage_security,all]",
        )


class Use(Scenarios):
    def test_authenticate(self):
        """AK-124 HT-49 a key authenticates by its parts and in its encoded form"""
        u = Person("manage_own_api_key")
        made = u.client.security.create_api_key(name=unique("key"))
        for credential in [(made["id"], made["api_key"]), made["encoded"]]:
            me = connect(api_key=credential).security.authenticate()
            self.assertEqual((me["username"], me["roles"], me["authentication_type"]), (u.name, [], "api_key"))
            self.assertEqual(me["authentication_realm"], {"name": "_es_api_key", "type": "_es_api_key"})
            self.assertEqual(me["api_key"], {"id": made["id"], "name": made["name"], "managed_by": "elasticsearch"})

    def test_wrong_secret(self):
        """AK-126 a wrong secret is a 401 with its detail apart"""
        made, other = Key(admin), Key(admin)
        secret = base64.b64decode(other.encoded).decode().partition(":")[2]
        error = self.refused(401, "security_exception", connect(api_key=(made.id, secret)).security.authenticate)
        self.assertRegex(error["additional_unsuccessful_credentials"], "^API key: ")

    def test_privileges(self):
        """AK-131 AK-132 a key may do what both it and its owner may"""
        u = Person("monitor", "manage_own_api_key")
        k = Key(u.client, role_descriptors={"all": {"cluster": ["all"]}})
        k.client.info()
        self.refused(403, "security_exception", k.client.security.get_user, username=u.name)
        answer = k.client.security.has_privileges(cluster=["monitor", "manage_security"])
        self.assertEqual((answer["username"], answer["cluster"]), (u.name, {"monitor": True, "manage_security": False}))


class Get(Scenarios):
    def test_own(self):
        """AK-43 AK-44 AK-46 a user sees its own keys in the forms that it may ask"""
        u, v = Person("manage_own_api_key"), Person("manage_own_api_key")
        a, b, _ = Key(u.client), Key(u.client), Key(v.client)
        for params in [{"owner": True}, {"username": u.name, "realm_name": "default_native"}]:
            shown = u.client.security.get_api_key(**params)["api_keys"]
            self.assertEqual(sorted(k["id"] for k in shown), sorted([a.id, b.id]))
        for params in [{}, {"username": u.name}, {"realm_name": "default_native"}]:
            self.refused(403, "security_exception", u.client.security.get_api_key, **params)

    def test_names(self):
        """AK-48 AK-50 by name, whole and by prefix"""
        prefix = unique("app")
        for end in ["-1", "-2"]:
            Key(admin, name=prefix + end)

        def names(name):
            return sorted(k["name"] for k in admin.security.get_api_key(name=name)["api_keys"])

        self.assertEqual(names(f"{prefix}*"), [f"{prefix}-1", f"{prefix}-2"])
        self.assertEqual(names(f"{prefix}-2"), [f"{prefix}-2"])
        self.assertEqual(names(unique("nobody")), [])

    def test_unknown(self):
        """AK-47 an unknown id is a 404 with an empty list"""
        with self.assertRaises(NotFoundError) as raised:
            admin.security.get_api_key(id=unique("no"))
        self.assertEqual(raised.exception.body, {"api_keys": []})


class Grant(Scenarios):
    def test_granted(self):
        """AK-34 the key is the grantee's, whose rights it has"""
        granter, u = Person("grant_api_key"), Person("monitor")
        made = granter.client.security.grant_api_key(
            grant_type="password", username=u.name, password=u.password, api_key={"name": unique("granted"), "expiration": "1h"}
        )
        key = connect(api_key=made["encoded"])
        self.assertEqual(key.security.authenticate()["username"], u.name)
        key.info()

    def test_wrong_password(self):
        """AK-35 a wrong password is a 403 caused by a 401, so that the granter does not doubt its own"""
        granter, u = Person("grant_api_key"), Person("monitor")
        error = self.refused(
            403, "security_exception", granter.client.security.grant_api_key,
            grant_type="password", username=u.name, password="not the password", api_key={"name": unique("granted")},
        )
        self.assertEqual(error["caused_by"]["type"], "security_exception")
