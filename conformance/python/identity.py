"""Users, roles, role mappings, privileges, service accounts and profiles as an
administrator of an application handles them."""

import base64

from elasticsearch import NotFoundError

from support import Key, Person, Scenarios, Token, admin, connect, major, unique

ROLE = {
    "cluster": ["monitor", "manage_own_api_key"],
    "indices": [
        {"names": ["logs-*"], "privileges": ["read"], "field_security": {"grant": ["a*"], "except": ["ab"]}, "query": {"match_all": {}}}
    ],
    "applications": [{"application": "shop", "privileges": ["read", "data:*"], "resources": ["*"]}],
    "run_as": ["other-*"],
    "metadata": {"team": 7},
}
RESERVED = ["elastic", "kibana", "kibana_system", "logstash_system", "beats_system", "apm_system", "remote_monitoring_user"]
FLEET = {"namespace": "elastic", "service": "fleet-server"}


class Identity(Scenarios):
    def absent(self, body, call, **params):
        """Asserts that nothing is found: a 404 whose body is no error, of which the
        client makes an error."""
        with self.assertRaises(NotFoundError) as raised:
            call(**params)
        self.assertEqual(raised.exception.body, body)

    def out(self, *clients):
        """Asserts that passwords are refused."""
        for client in clients:
            self.refused(401, "security_exception", client.security.authenticate)

    def cleared(self, answer):
        """Asserts that a cache was cleared on the only node."""
        self.assertEqual((answer["_nodes"], len(answer["nodes"])), ({"total": 1, "successful": 1, "failed": 0}, 1))


class Users(Identity):
    def test_put_get_delete(self):
        """ID-18 ID-20 ID-22 ID-32 ID-34 put, get, put again without a password, delete"""
        name, word = unique("user"), unique("password")
        details = {"roles": ["a", "b"], "full_name": "A Person", "email": "a@example.org", "metadata": {"team": {"id": 7}}}
        self.assertEqual(admin.security.put_user(username=name, password=word, **details).body, {"created": True})
        self.assertEqual(
            admin.security.get_user(username=[name, unique("no")]).body, {name: {"username": name, **details, "enabled": True}}
        )
        self.assertEqual(admin.security.put_user(username=name, roles=[]).body, {"created": False})
        kept = admin.security.get_user(username=name)[name]
        self.assertEqual((kept["roles"], kept["full_name"], kept["email"]), ([], None, None))
        client = connect(basic_auth=(name, word))
        self.assertEqual(client.security.authenticate()["authentication_realm"]["name"], "default_native")
        self.assertEqual(admin.security.delete_user(username=name).body, {"found": True})
        self.out(client)
        self.absent({}, admin.security.get_user, username=name)
        self.absent({"found": False}, admin.security.delete_user, username=name)
        self.assertEqual(admin.options(ignore_status=404).security.delete_user(username=name).body, {"found": False})

    def test_reserved(self):
        """ID-33 all of them have the built-in ones among them"""
        u = Person()
        users = admin.security.get_user()
        for name in RESERVED:
            self.assertTrue(users[name]["metadata"]["_reserved"])
        self.assertEqual(users[u.name]["roles"], [u.role])

    def test_own_password(self):
        """ID-35 ID-36 a user without any privilege changes their own password, but not with a token"""
        u = Person()
        self.refused(403, "security_exception", Token.of(u).client.security.change_password, password="by a token")
        self.assertEqual(u.client.security.change_password(password="another password").body, {})
        self.out(u.client)
        connect(basic_auth=(u.name, "another password")).security.authenticate()

    def test_other_password(self):
        """ID-37 ID-38 the password of somebody else is for who manages security"""
        u, other, word = Person(), Person(), "another password"
        for name in [other.name, unique("nobody")]:
            self.refused(403, "security_exception", u.client.security.change_password, username=name, password=word)
        self.refused(400, "validation_exception", admin.security.change_password, username=unique("nobody"), password=word)
        self.assertEqual(admin.security.change_password(username=other.name, password=word).body, {})
        self.out(other.client)

    def test_enabled(self):
        """ID-11 ID-21 ID-39 ID-40 a disabled user is out until enabled, and their keys are not"""
        u = Person("manage_own_api_key")
        k = Key(u.client)
        self.assertEqual(admin.security.disable_user(username=u.name).body, {})
        self.out(u.client)
        k.client.security.authenticate()
        self.assertFalse(admin.security.get_user(username=u.name)[u.name]["enabled"])
        self.assertEqual(admin.security.enable_user(username=u.name).body, {})
        u.client.security.authenticate()
        admin.security.disable_user(username=u.name)
        admin.security.put_user(username=u.name, roles=[u.role])
        u.client.security.authenticate()
        self.refused(400, "illegal_argument_exception", admin.security.disable_user, username="elastic")

    def test_rules(self):
        """ID-19 ID-23 ID-25 ID-26 ID-29 ID-31 what cannot be a user is refused"""
        for kind, user in [
            ("validation_exception", {"roles": []}),
            ("action_request_validation_exception", {"password": "password"}),
            ("validation_exception", {"password": "12345", "roles": []}),
            ("validation_exception", {"password": "password", "password_hash": "x", "roles": []}),
            ("action_request_validation_exception", {"password": "password", "roles": [], "metadata": {"_x": 1}}),
            ("action_request_validation_exception", {"username": "elastic", "password": "password", "roles": []}),
        ]:
            with self.subTest(user):
                self.refused(400, kind, admin.security.put_user, **{"username": unique("user"), **user})

    def test_query(self):
        """ID-41 ID-42 query finds native users page by page"""
        role = unique("role")
        names = [unique(prefix) for prefix in "abc"]
        for name in names:
            admin.security.put_user(username=name, password="password", roles=[role])
        search = {"query": {"wildcard": {"roles": role[:-1] + "*"}}, "sort": ["username"], "size": 2}
        page = admin.security.query_user(**search)
        self.assertEqual((page["total"], page["count"], [u["username"] for u in page["users"]]), (3, 2, names[:2]))
        self.assertEqual(page["users"][1]["_sort"], names[1:2])
        rest = admin.security.query_user(**search, search_after=page["users"][1]["_sort"])
        self.assertEqual([u["username"] for u in rest["users"]], names[2:])
        everyone = admin.security.query_user(size=1000)
        self.assertNotIn("elastic", [u["username"] for u in everyone["users"]])
        self.refused(400, "illegal_argument_exception", admin.security.query_user, sort=["full_name"])
        self.refused(400, "illegal_argument_exception", admin.security.query_user, query={"term": {"password": "x"}})


class Roles(Identity):
    def test_put_get_delete(self):
        """ID-43 ID-44 ID-46 ID-53 put with all its parts, get, delete"""
        name = unique("role")
        self.assertEqual(admin.security.put_role(name=name, **ROLE).body, {"role": {"created": True}})
        index = {**ROLE["indices"][0], "query": '{"match_all":{}}', "allow_restricted_indices": False}
        self.assertEqual(
            admin.security.get_role(name=name).body, {name: {**ROLE, "indices": [index], "transient_metadata": {"enabled": True}}}
        )
        again = admin.security.put_role(name=name, indices=[{"names": "*", "privileges": ["all"]}])
        self.assertEqual(again.body, {"role": {"created": False}})
        self.assertEqual(admin.security.get_role(name=name)[name]["indices"][0]["names"], ["*"])
        self.assertEqual(admin.security.delete_role(name=name).body, {"found": True})
        self.absent({}, admin.security.get_role, name=name)
        self.absent({"found": False}, admin.security.delete_role, name=name)

    def test_rules(self):
        """ID-48 ID-52 ID-55 what cannot be a role is refused, and so is any change of a built-in one"""
        invalid = "action_request_validation_exception"
        error = self.refused(400, invalid, Person().client.security.put_role, name=unique("role"), cluster=["x"])
        self.assertIn("unknown cluster privilege [x]", error["reason"])
        self.refused(400, invalid, admin.security.put_role, name=unique("role"), indices=[{"names": ["a"], "privileges": ["x"]}])
        remote = {"clusters": ["a"], "privileges": ["monitor"]}
        self.refused(400, invalid, admin.security.put_role, name=unique("role"), remote_cluster=[remote])
        admin.security.put_role(name=unique("role"), remote_cluster=[{**remote, "privileges": ["monitor_enrich"]}])
        self.refused(400, invalid, admin.security.put_role, name="superuser", cluster=[])
        self.refused(400, "illegal_argument_exception", admin.security.delete_role, name="superuser")
        self.assertTrue(admin.security.get_role(name="superuser")["superuser"]["metadata"]["_reserved"])

    def test_change(self):
        """ID-63 ID-109 a change counts from the next request on, with or without a cache"""
        u = Person("monitor")
        u.client.info()
        admin.security.put_role(name=u.role, cluster=["manage_own_api_key"])
        self.refused(403, "security_exception", u.client.cluster.health)
        Key(u.client)
        self.cleared(admin.security.clear_cached_roles(name=u.role))
        self.cleared(admin.security.clear_cached_roles(name="*"))
        Key(u.client)

    def test_run_as(self):
        """ID-15 ID-16 ID-84 run_as lets a user act as those it names, and no other"""
        target, u = Person("monitor"), Person()
        admin.security.put_role(name=u.role, run_as=[target.name])

        def run_as(client, name):
            return client.options(headers={"es-security-runas-user": name}).security

        me = run_as(u.client, target.name).authenticate()
        self.assertEqual((me["username"], me["roles"]), (target.name, [target.role]))
        error = self.refused(403, "security_exception", run_as(u.client, "elastic").authenticate)
        self.assertIn("is unauthorized to run as [elastic]", error["reason"])
        self.refused(403, "security_exception", run_as(admin, unique("nobody")).authenticate)
        check = run_as(u.client, target.name).has_privileges(user=target.name, cluster=["monitor"])
        self.assertEqual((check["username"], check["has_all_requested"]), (target.name, True))

    def test_bulk(self):
        """ID-57 ID-58 ID-60 many are put and deleted by one call"""
        a, b, bad = (unique(prefix) for prefix in ("a", "b", "bad"))
        made = admin.security.bulk_put_role(roles={a: {"cluster": ["monitor"]}, b: {}, bad: {"cluster": ["x"]}})
        self.assertEqual((made["created"], made["errors"]["count"]), ([a, b], 1))
        self.assertEqual(made["errors"]["details"][bad]["type"], "action_request_validation_exception")
        again = admin.security.bulk_put_role(roles={a: {"cluster": ["all"]}, b: {}})
        self.assertEqual(again.body, {"updated": [a], "noop": [b]})
        gone = admin.security.bulk_delete_role(names=[a, b, bad, "superuser"])
        self.assertEqual((gone["deleted"], gone["not_found"], gone["errors"]["count"]), ([a, b], [bad], 1))
        self.assertEqual(gone["errors"]["details"]["superuser"]["type"], "illegal_argument_exception")

    def test_query(self):
        """ID-61 query finds them by what they are"""
        team = unique("team")
        names = [unique(prefix) for prefix in "abc"]
        for name in names:
            admin.security.put_role(name=name, description="a role", metadata={"team": team})
        query = {"bool": {"must": {"term": {"metadata.team": team}}, "must_not": {"term": {"metadata._reserved": True}}}}
        page = admin.security.query_role(query=query, sort=["name"], size=2)
        self.assertEqual((page["total"], page["count"]), (3, 2))
        self.assertEqual([(r["name"], r["description"], r["_sort"]) for r in page["roles"]], [(n, "a role", [n]) for n in names[:2]])


class RoleMappings(Identity):
    def test_rules(self):
        """ID-91 put with rules, get, delete"""
        name = unique("mapping")
        mapping = {
            "enabled": True,
            "roles": ["monitoring_user"],
            "rules": {
                "all": [
                    {"field": {"username": ["a", "b"]}},
                    {"any": [{"field": {"groups": "cn=a,dc=b"}}, {"field": {"realm.name": "c"}}]},
                    {"except": {"field": {"metadata.x": None}}},
                ]
            },
            "metadata": {"team": 7},
        }
        self.assertEqual(admin.security.put_role_mapping(name=name, **mapping).body, {"role_mapping": {"created": True}})
        self.assertEqual(admin.security.get_role_mapping(name=name).body, {name: mapping})
        again = admin.security.put_role_mapping(name=name, enabled=False, roles=["b"], rules={"field": {"username": ["a"]}})
        self.assertEqual(again.body, {"role_mapping": {"created": False}})
        self.assertEqual(
            admin.security.get_role_mapping()[name],
            {"enabled": False, "roles": ["b"], "rules": {"field": {"username": "a"}}, "metadata": {}},
        )
        self.assertEqual(admin.security.delete_role_mapping(name=name).body, {"found": True})
        self.absent({}, admin.security.get_role_mapping, name=name)
        self.absent({"found": False}, admin.security.delete_role_mapping, name=name)

    def test_templates(self):
        """ID-94 put with templates"""
        name, rules = unique("mapping"), {"field": {"realm.name": "c"}}
        as_json = {"template": {"source": "{{#tojson}}groups{{/tojson}}"}, "format": "json"}
        admin.security.put_role_mapping(
            name=name, enabled=True, role_templates=[{"template": {"source": "_user_{{username}}"}}, as_json], rules=rules
        )
        self.assertEqual(
            admin.security.get_role_mapping(name=name)[name]["role_templates"],
            [
                {"template": '{"source":"_user_{{username}}"}', "format": "string"},
                {"template": '{"source":"{{#tojson}}groups{{/tojson}}"}', "format": "json"},
            ],
        )
        admin.security.delete_role_mapping(name=name)

    def test_refused(self):
        """ID-89 ID-90 what cannot be a mapping is refused"""
        rule = {"field": {"username": "a"}}
        for kind, mapping in [
            ("parsing_exception", {"roles": ["a"], "rules": rule}),
            ("parsing_exception", {"roles": ["a"], "enabled": False}),
            ("action_request_validation_exception", {"roles": ["a"], "role_templates": [{"template": {"source": "a"}}], "enabled": False, "rules": rule}),
            ("parsing_exception", {"roles": ["a"], "enabled": False, "rules": {"except": rule}}),
            ("parsing_exception", {"roles": ["a"], "enabled": False, "rules": {"any": [{"except": rule}]}}),
        ]:
            with self.subTest(mapping):
                self.refused(400, kind, admin.security.put_role_mapping, name=unique("mapping"), **mapping)


class ApplicationPrivileges(Identity):
    def test_put_get_delete(self):
        """ID-73 ID-74 ID-109 put, get, delete"""
        name = unique("app")
        read = {"actions": ["data:read/*", "action:login"], "metadata": {"a": 1}}
        privileges = {name: {"read": read, "write": {"actions": ["data:write/*"]}}}
        for created in [True, False]:
            made = admin.security.put_privileges(privileges=privileges)
            self.assertEqual(made.body, {name: {"read": {"created": created}, "write": {"created": created}}})
        write = {"application": name, "name": "write", "actions": ["data:write/*"], "metadata": {}}
        self.assertEqual(
            admin.security.get_privileges(application=name).body,
            {name: {"read": {"application": name, "name": "read", **read}, "write": write}},
        )
        self.assertEqual(list(admin.security.get_privileges(application=name, name="read")[name]), ["read"])
        self.assertIn(name, admin.security.get_privileges().body)
        self.cleared(admin.security.clear_cached_privileges(application=name))
        gone = admin.security.delete_privileges(application=name, name=["read", "no"])
        self.assertEqual(gone.body, {name: {"read": {"found": True}, "no": {"found": False}}})
        self.absent({}, admin.security.get_privileges, application=name, name="read")
        self.absent({name: {"read": {"found": False}}}, admin.security.delete_privileges, application=name, name="read")

    def test_rules(self):
        """ID-75 ID-76 names follow rules, and who manages some applications manages no other"""
        for name, action in [("ap", "data:read"), ("App", "data:read"), ("app", "read")]:
            self.refused(
                400, "action_request_validation_exception", admin.security.put_privileges, privileges={name: {"read": {"actions": [action]}}}
            )
        u, name, read = Person(), unique("app"), {"read": {"actions": ["data:read"]}}
        admin.security.put_role(name=u.role, global_={"application": {"manage": {"applications": [f"{name}*"]}}})
        made = u.client.security.put_privileges(privileges={f"{name}-1": read})
        self.assertEqual(made.body, {f"{name}-1": {"read": {"created": True}}})
        self.refused(403, "security_exception", u.client.security.put_privileges, privileges={unique("app"): read})

    def test_builtin(self):
        """ID-72 the built-in ones are told in order"""
        told = admin.security.get_builtin_privileges()
        for kind, some in [("cluster", "manage_own_api_key"), ("index", "view_index_metadata")]:
            self.assertEqual(told[kind], sorted(told[kind]))
            self.assertIn(some, told[kind])


class Checks(Identity):
    def test_role(self):
        """ID-78 ID-86 ID-87 has_privileges and get user privileges tell what a role grants"""
        name, u = unique("app"), Person()
        admin.security.put_privileges(privileges={name: {"read": {"actions": ["data:read/*"]}}})
        admin.security.put_role(
            name=u.role,
            cluster=["monitor", "manage_own_api_key"],
            indices=[{"names": ["logs-1", "metrics-*"], "privileges": ["read"]}],
            applications=[{"application": name, "privileges": ["read"], "resources": [resource]} for resource in ("b", "a/*")],
            run_as=["x*"],
        )
        told = u.client.security.has_privileges(
            cluster=["monitor", "manage"],
            index=[{"names": ["logs-*", "metrics-1"], "privileges": ["read", "write"]}],
            application=[{"application": name, "privileges": ["read", "data:read/x", "undefined"], "resources": ["a/1", "c"]}],
        )
        self.assertEqual(
            told.body,
            {
                "username": u.name,
                "has_all_requested": False,
                "cluster": {"monitor": True, "manage": False},
                "index": {"logs-*": {"read": False, "write": False}, "metrics-1": {"read": True, "write": False}},
                "application": {
                    name: {
                        "a/1": {"read": True, "data:read/x": True, "undefined": False},
                        "c": {"read": False, "data:read/x": False, "undefined": False},
                    }
                },
            },
        )
        mine = u.client.security.get_user_privileges().body
        for granted in mine["applications"]:
            granted["resources"].sort()
        self.assertEqual(
            mine,
            {
                "cluster": ["manage_own_api_key", "monitor"],
                "global": [],
                "indices": [{"names": ["logs-1", "metrics-*"], "privileges": ["read"], "allow_restricted_indices": False}],
                "applications": [{"application": name, "privileges": ["read"], "resources": ["a/*", "b"]}],
                "run_as": ["x*"],
            },
        )

    def test_superuser(self):
        """ID-77 ID-79 ID-81 ID-82 ID-83 of a superuser, and what cannot be asked"""
        yes = admin.security.has_privileges(cluster=["all"], index=[{"names": "a", "privileges": ["all"]}])
        self.assertEqual((yes["has_all_requested"], yes["index"]), (True, {"a": {"all": True}}))
        everything = {"names": ["*"], "privileges": ["read", "write"], "allow_restricted_indices": True}
        self.assertEqual(admin.security.has_privileges(index=[everything])["index"], {"*": {"read": True, "write": False}})
        self.refused(400, "illegal_argument_exception", admin.security.has_privileges, cluster=["x"])
        self.refused(400, "action_request_validation_exception", admin.security.has_privileges, cluster=[])
        u = Person()
        self.refused(400, "illegal_argument_exception", admin.security.has_privileges, user=u.name, cluster=["all"])
        self.refused(403, "security_exception", u.client.security.has_privileges, user="elastic", cluster=["all"])

    def test_key(self):
        """ID-85 ID-88 of a key: what it and its owner may, but not as a list if it has descriptors"""
        u = Person("manage_own_api_key", "monitor")
        narrow = Key(u.client, role_descriptors={"a": {"cluster": ["monitor", "manage_security"]}})
        told = narrow.client.security.has_privileges(cluster=["monitor", "manage_security"])
        self.assertEqual((told["username"], told["cluster"]), (u.name, {"monitor": True, "manage_security": False}))
        self.refused(400, "illegal_argument_exception", narrow.client.security.get_user_privileges)
        self.assertEqual(Key(u.client).client.security.get_user_privileges()["cluster"], ["manage_own_api_key", "monitor"])

    def test_denial(self):
        """ID-64 ID-104 ID-106 ID-107 a denial tells who, what, and by which privilege it would be granted"""
        u = Person("manage")
        error = self.refused(403, "security_exception", u.client.security.create_api_key, name="x")
        self.assertEqual(
            error["reason"],
            f"action [cluster:admin/xpack/security/api_key/create] is unauthorized for user [{u.name}] with effective roles [{u.role}], "
            "this action is granted by the cluster privileges [manage_own_api_key,manage_api_key,manage_security,all]",
        )
        self.assertEqual(error["root_cause"][0]["type"], "security_exception")


class ServiceAccounts(Identity):
    def test_accounts(self):
        """ID-95 get accounts"""
        accounts = [f"elastic/{name}" for name in ("auto-ops", "fleet-server", "fleet-server-remote", "kibana")]
        self.assertEqual(sorted(admin.security.get_service_accounts(namespace="elastic").body), accounts)
        one = admin.security.get_service_accounts(**FLEET).body
        self.assertEqual(list(one), ["elastic/fleet-server"])
        self.assertIn("manage_own_api_key", one["elastic/fleet-server"]["role_descriptor"]["cluster"])
        self.assertEqual(admin.security.get_service_accounts(namespace=unique("no")).body, {})

    def test_token(self):
        """ID-96 ID-97 ID-98 ID-99 ID-101 ID-109 a token is made, told, used and deleted, and then refused at once"""
        name = unique("token")
        made = admin.security.create_service_token(**FLEET, name=name)
        self.assertEqual((made["created"], made["token"]["name"]), (True, name))
        value = made["token"]["value"]
        decoded = base64.b64decode(value + "=" * (-len(value) % 4))
        self.assertTrue(decoded.startswith(b"\0\1\0\1elastic/fleet-server/%s:" % name.encode()), decoded)
        told = admin.security.get_service_credentials(**FLEET)
        self.assertEqual((told["service_account"], told["tokens"][name]), ("elastic/fleet-server", {}))
        self.assertEqual(told["nodes_credentials"]["_nodes"]["failed"], 0)
        client = connect(bearer_auth=value)
        me = client.security.authenticate()
        self.assertEqual((me["username"], me["roles"], me["authentication_type"]), ("elastic/fleet-server", [], "token"))
        self.assertEqual(me["full_name"], "Service account - elastic/fleet-server")
        self.assertEqual((me["token"]["name"], me["token"]["type"]), (name, "_service_account_index"))
        error = self.refused(403, "security_exception", client.security.delete_user, username="x")
        self.assertRegex(error["reason"], r"service account \[elastic/fleet-server\].*\[manage_security,all\]$")
        self.refused(409, "version_conflict_engine_exception", admin.security.create_service_token, **FLEET, name=name)
        self.cleared(admin.security.clear_cached_service_tokens(**FLEET, name=name))
        client.security.authenticate()
        self.assertEqual(admin.security.delete_service_token(**FLEET, name=name).body, {"found": True})
        self.out(client)
        self.absent({"found": False}, admin.security.delete_service_token, **FLEET, name=name)
        self.assertNotIn(name, admin.security.get_service_credentials(**FLEET)["tokens"])

    def test_names(self):
        """ID-98 ID-100 a token without a name gets one, and not every name will do"""
        made = admin.security.create_service_token(**FLEET)
        self.assertRegex(made["token"]["name"], "^token_")
        admin.security.delete_service_token(**FLEET, name=made["token"]["name"])
        self.refused(400, "action_request_validation_exception", admin.security.create_service_token, **FLEET, name="_x")
        self.refused(
            400, "illegal_argument_exception", admin.security.create_service_token, namespace="elastic", service=unique("no"), name="x"
        )


class Profiles(Identity):
    def activate(self, u):
        return admin.security.activate_user_profile(grant_type="password", username=u.name, password=u.password)

    def test_life(self):
        """ID-102 ID-103 activate, get, give data, disable, enable, suggest"""
        u = Person()
        made = self.activate(u)
        self.assertEqual((made["enabled"], made["labels"], made["data"]), (True, {}, {}))
        self.assertEqual(
            (made["user"]["username"], made["user"]["roles"], made["user"]["realm_name"]), (u.name, [u.role], "default_native")
        )
        uid = made["uid"]
        by_token = admin.security.activate_user_profile(grant_type="access_token", access_token=Token.of(u).access)
        self.assertEqual(by_token["uid"], uid)
        self.assertEqual(admin.security.get_user(username=u.name, with_profile_uid=True)[u.name]["profile_uid"], uid)

        done = admin.security.update_user_profile_data(uid=uid, labels={"team": u.role}, data={"theme": {"dark": True}})
        self.assertEqual(done.body, {"acknowledged": True})
        no = unique("u_no")
        got = admin.security.get_user_profile(uid=[uid, no], data="theme")
        self.assertEqual([(p["labels"], p["data"]) for p in got["profiles"]], [({"team": u.role}, {"theme": {"dark": True}})])
        self.assertEqual((got["errors"]["count"], got["errors"]["details"][no]["type"]), (1, "resource_not_found_exception"))
        self.assertEqual(admin.security.get_user_profile(uid=uid)["profiles"][0]["data"], {})

        def suggested():
            found = admin.security.suggest_user_profiles(name=u.name, hint={"labels": {"team": u.role}})
            return [p["uid"] for p in found["profiles"]]

        self.assertEqual(suggested(), [uid])
        self.assertEqual(admin.security.disable_user_profile(uid=uid).body, {"acknowledged": True})
        self.assertEqual(suggested(), [])
        self.assertEqual(admin.security.enable_user_profile(uid=uid).body, {"acknowledged": True})
        self.assertEqual(suggested(), [uid])
        self.assertEqual(self.activate(u)["labels"], {"team": u.role})

    def test_has_privileges(self):
        """has privileges, and a wrong password makes none"""
        u = Person("monitor")
        a, b, no = self.activate(u)["uid"], self.activate(Person())["uid"], unique("u_no")
        told = admin.security.has_privileges_user_profile(uids=[a, b, no], privileges={"cluster": ["monitor"]})
        self.assertEqual((told["has_privilege_uids"], told["errors"]["count"]), ([a], 1))
        self.assertEqual(told["errors"]["details"][no]["type"], "resource_not_found_exception")
        u.password = "not the password"
        self.refused(
            401, "security_exception", admin.security.activate_user_profile, grant_type="password", username=u.name, password=u.password
        )


class Settings(Identity):
    def test_settings(self):
        """ID-110 are told and changed"""
        before = admin.security.get_settings().body
        self.assertEqual(list(before), ["security", "security-profile", "security-tokens"])
        done = admin.security.update_settings(security={"index.number_of_replicas": 1})
        self.assertEqual(done.body, {"acknowledged": True})
        self.assertEqual(admin.security.get_settings()["security"]["index"]["number_of_replicas"], "1")
        admin.security.update_settings(security={"index": {"number_of_replicas": None}})
        self.assertEqual(admin.security.get_settings().body, before)

    if major > 8:

        def test_stats(self):
            """stats tell a cache for each node"""
            (node,) = admin.security.get_stats()["nodes"].values()
            self.assertEqual(node["roles"]["dls"]["bit_set_cache"]["count"], 0)

    def test_realms(self):
        """ID-109 the caches of realms are cleared"""
        self.cleared(admin.security.clear_cached_realms(realms="default_native"))
        self.cleared(admin.security.clear_cached_realms(realms="*"))
