"""Users, roles, role mappings, privileges and service accounts with release 7.17 of
the client, which takes each body whole."""

import secrets
import unittest

from elasticsearch import AuthenticationException, AuthorizationException, ConflictError, NotFoundError, RequestError

from release7 import connect, password

admin = connect(http_auth=("elastic", password))
FLEET = {"namespace": "elastic", "service": "fleet-server"}


def unique(prefix):
    return f"{prefix}-{secrets.token_hex(5)}"


class Identity(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        """Makes a user with an empty role."""
        self.user, self.role, self.word = unique("user"), unique("role"), unique("password")
        admin.security.put_role(name=self.role, body={})
        admin.security.put_user(username=self.user, body={"password": self.word, "roles": [self.role]})
        self.client = connect(http_auth=(self.user, self.word))

    def refused(self, error, kind, call, **params):
        with self.assertRaises(error) as raised:
            call(**params)
        self.assertEqual(raised.exception.info["error"]["type"], kind)
        return raised.exception.info["error"]

    def absent(self, body, call, **params):
        with self.assertRaises(NotFoundError) as raised:
            call(**params)
        self.assertEqual(raised.exception.info, body)

    def out(self):
        self.refused(AuthenticationException, "security_exception", self.client.security.authenticate)

    def cleared(self, answer):
        self.assertEqual(answer["_nodes"], {"total": 1, "successful": 1, "failed": 0})

    def test_users(self):
        """ID-11 ID-18 ID-20 ID-22 ID-32 ID-34 ID-39 put, get, disable, enable, delete"""
        self.assertEqual(admin.security.put_user(username=self.user, body={"roles": ["a"], "metadata": {"team": 7}}), {"created": False})
        self.assertEqual(
            admin.security.get_user(username=[self.user, "elastic"])[self.user],
            {"username": self.user, "roles": ["a"], "full_name": None, "email": None, "metadata": {"team": 7}, "enabled": True},
        )
        self.assertEqual(admin.security.disable_user(username=self.user), {})
        self.out()
        self.assertEqual(admin.security.enable_user(username=self.user), {})
        self.assertEqual(self.client.security.authenticate()["username"], self.user)
        self.refused(RequestError, "illegal_argument_exception", admin.security.disable_user, username="elastic")
        self.assertEqual(admin.security.delete_user(username=self.user), {"found": True})
        self.out()
        self.absent({}, admin.security.get_user, username=self.user)
        self.absent({"found": False}, admin.security.delete_user, username=self.user)

    def test_passwords(self):
        """ID-35 ID-37 ID-38 users change their own password, and who manages security any"""
        body = {"password": "another password"}
        self.refused(AuthorizationException, "security_exception", self.client.security.change_password, username="elastic", body=body)
        self.refused(RequestError, "validation_exception", admin.security.change_password, username=unique("nobody"), body=body)
        self.assertEqual(self.client.security.change_password(body=body), {})
        self.out()
        self.assertEqual(admin.security.change_password(username=self.user, body={"password": self.word}), {})
        self.client.security.authenticate()

    def test_roles(self):
        """ID-43 ID-46 ID-48 ID-53 ID-55 ID-63 ID-109 put with all its parts, get, delete"""
        role = {
            "cluster": ["manage_own_api_key"],
            "indices": [{"names": ["logs-*"], "privileges": ["read"], "field_security": {"grant": ["a*"], "except": ["ab"]}, "query": {"match_all": {}}}],
            "applications": [{"application": "shop", "privileges": ["read", "data:*"], "resources": ["*"]}],
            "run_as": ["other-*"],
            "metadata": {"team": 7},
        }
        self.assertEqual(admin.security.put_role(name=self.role, body=role), {"role": {"created": False}})
        index = {**role["indices"][0], "query": '{"match_all":{}}', "allow_restricted_indices": False}
        self.assertEqual(
            admin.security.get_role(name=self.role), {self.role: {**role, "indices": [index], "transient_metadata": {"enabled": True}}}
        )
        self.client.security.create_api_key(body={"name": "a"})
        self.cleared(admin.security.clear_cached_roles(name=self.role))
        self.assertEqual(admin.security.put_role(name=unique("role"), body={}), {"role": {"created": True}})
        error = self.refused(RequestError, "action_request_validation_exception", admin.security.put_role, name="a", body={"cluster": ["x"]})
        self.assertIn("unknown cluster privilege [x]", error["reason"])
        self.refused(RequestError, "illegal_argument_exception", admin.security.delete_role, name="superuser")
        self.assertEqual(admin.security.delete_role(name=self.role), {"found": True})
        self.refused(AuthorizationException, "security_exception", self.client.security.create_api_key, body={"name": "a"})
        self.absent({}, admin.security.get_role, name=self.role)
        self.absent({"found": False}, admin.security.delete_role, name=self.role)

    def test_role_mappings(self):
        """ID-89 ID-91 ID-94 put with rules and with templates, get, delete"""
        name = unique("mapping")
        mapping = {
            "enabled": True,
            "roles": ["monitoring_user"],
            "rules": {"all": [{"field": {"username": ["a", "b"]}}, {"except": {"field": {"metadata.x": None}}}]},
            "metadata": {"team": 7},
        }
        self.assertEqual(admin.security.put_role_mapping(name=name, body=mapping), {"role_mapping": {"created": True}})
        self.assertEqual(admin.security.get_role_mapping(name=name), {name: mapping})
        del mapping["roles"]
        templates = [{"template": {"source": "_user_{{username}}"}}]
        again = admin.security.put_role_mapping(name=name, body={**mapping, "role_templates": templates})
        self.assertEqual(again, {"role_mapping": {"created": False}})
        self.assertEqual(
            admin.security.get_role_mapping(name=name)[name]["role_templates"],
            [{"template": '{"source":"_user_{{username}}"}', "format": "string"}],
        )
        self.refused(RequestError, "parsing_exception", admin.security.put_role_mapping, name=name, body={"roles": ["a"], "rules": mapping["rules"]})
        self.assertEqual(admin.security.delete_role_mapping(name=name), {"found": True})
        self.absent({}, admin.security.get_role_mapping, name=name)
        self.absent({"found": False}, admin.security.delete_role_mapping, name=name)

    def test_application_privileges(self):
        """ID-72 ID-73 ID-74 ID-75 ID-109 put, get, delete, and the built-in ones"""
        name = unique("app")
        body = {name: {"read": {"actions": ["data:read/*"]}}}
        self.assertEqual(admin.security.put_privileges(body=body), {name: {"read": {"created": True}}})
        read = {"application": name, "name": "read", "actions": ["data:read/*"], "metadata": {}}
        self.assertEqual(admin.security.get_privileges(application=name), {name: {"read": read}})
        self.assertIn(name, admin.security.get_privileges())
        self.cleared(admin.security.clear_cached_privileges(application=name))
        self.refused(RequestError, "action_request_validation_exception", admin.security.put_privileges, body={"App": body[name]})
        gone = admin.security.delete_privileges(application=name, name="read,no")
        self.assertEqual(gone, {name: {"read": {"found": True}, "no": {"found": False}}})
        self.absent({}, admin.security.get_privileges, application=name, name="read")
        told = admin.security.get_builtin_privileges()
        self.assertEqual(told["cluster"], sorted(told["cluster"]))
        self.assertIn("view_index_metadata", told["index"])

    def test_checks(self):
        """ID-78 ID-81 ID-83 ID-86 ID-87 has_privileges and get user privileges tell what a role grants"""
        name = unique("app")
        granted = {"application": name, "privileges": ["read"], "resources": ["a/*"]}
        index = {"names": ["logs-1", "metrics-*"], "privileges": ["read"]}
        admin.security.put_role(name=self.role, body={"cluster": ["monitor"], "indices": [index], "applications": [granted]})
        told = self.client.security.has_privileges(
            body={
                "cluster": ["monitor", "manage"],
                "index": [{"names": ["logs-*", "metrics-1"], "privileges": ["read"]}],
                "application": [{**granted, "privileges": ["read", "write"]}],
            }
        )
        self.assertEqual(
            told,
            {
                "username": self.user,
                "has_all_requested": False,
                "cluster": {"monitor": True, "manage": False},
                "index": {"logs-*": {"read": False}, "metrics-1": {"read": True}},
                "application": {name: {"a/*": {"read": True, "write": False}}},
            },
        )
        self.assertEqual(
            self.client.security.get_user_privileges(),
            {"cluster": ["monitor"], "global": [], "indices": [{**index, "allow_restricted_indices": False}], "applications": [granted], "run_as": []},
        )
        self.refused(RequestError, "illegal_argument_exception", admin.security.has_privileges, body={"cluster": ["x"]})
        self.refused(RequestError, "illegal_argument_exception", admin.security.has_privileges, user=self.user, body={"cluster": ["all"]})

    def test_service_accounts(self):
        """ID-95 ID-97 ID-98 ID-99 ID-109 a token is made, told, used and deleted, and then refused at once"""
        self.assertIn("elastic/fleet-server", admin.security.get_service_accounts(namespace="elastic"))
        name = unique("token")
        made = admin.security.create_service_token(**FLEET, name=name)
        self.assertEqual((made["created"], made["token"]["name"]), (True, name))
        self.assertEqual(admin.security.get_service_credentials(**FLEET)["tokens"][name], {})
        self.client = connect(headers={"authorization": f"Bearer {made['token']['value']}"})
        me = self.client.security.authenticate()
        self.assertEqual((me["username"], me["token"]["name"]), ("elastic/fleet-server", name))
        self.refused(ConflictError, "version_conflict_engine_exception", admin.security.create_service_token, **FLEET, name=name)
        self.cleared(admin.security.clear_cached_service_tokens(**FLEET, name=name))
        self.assertEqual(admin.security.delete_service_token(**FLEET, name=name), {"found": True})
        self.out()
        self.absent({"found": False}, admin.security.delete_service_token, **FLEET, name=name)

    def test_realms(self):
        """ID-109 the caches of realms are cleared"""
        self.cleared(admin.security.clear_cached_realms(realms="default_native"))
