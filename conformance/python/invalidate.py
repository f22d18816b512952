"""Every way to invalidate. Each key has authenticated before, and its very next
request is refused."""

from support import Key, Person, Scenarios, admin, connect, unique


class Invalidate(Scenarios):
    def invalidate(self, by, **selector):
        """Returns the ids that were invalidated now and before, both sorted."""
        answer = by.security.invalidate_api_key(**selector)
        self.assertEqual(answer["error_count"], 0)
        self.assertNotIn("error_details", answer)
        return sorted(answer["invalidated_api_keys"]), sorted(answer["previously_invalidated_api_keys"])

    def test_ids(self):
        """AK-87 AK-88 AK-104 AK-133 by ids, and the same again"""
        keys = [Key(admin) for _ in range(3)]
        ids = sorted(k.id for k in keys)
        self.assertEqual(self.invalidate(admin, ids=ids), (ids, []))
        for k in keys:
            self.dead(k.client, connect(api_key=k.encoded))
        times = {admin.security.get_api_key(id=id)["api_keys"][0]["invalidation"] for id in ids}
        self.assertEqual(len(times), 1)
        self.assertEqual(self.invalidate(admin, ids=ids), ([], ids))

    def test_unknown_ids(self):
        """AK-89 AK-103 AK-105 unknown ids are passed over, repeated ones count once, and one may stand alone"""
        a, b = Key(admin), Key(admin)
        self.assertEqual(self.invalidate(admin, ids=[unique("no")]), ([], []))
        self.assertEqual(self.invalidate(admin, ids=[a.id, unique("no"), a.id]), ([a.id], []))
        self.assertEqual(self.invalidate(admin, id=b.id), ([b.id], []))
        self.dead(a.client, b.client)

    def test_name(self):
        """AK-91 by name, whole and by prefix"""
        prefix = unique("app")
        a, b, other = Key(admin, name=f"{prefix}-1"), Key(admin, name=f"{prefix}-2"), Key(admin, name=f"other-{prefix}")
        self.assertEqual(self.invalidate(admin, name=f"{prefix}-1"), ([a.id], []))
        self.assertEqual(self.invalidate(admin, name=f"{prefix}*"), ([b.id], []))
        self.dead(a.client, b.client)
        other.client.security.authenticate()

    def test_username(self):
        """AK-88 AK-90 by username: all of that user and of nobody else"""
        u, v = Person("manage_own_api_key"), Person("manage_own_api_key")
        a, b, other = Key(u.client), Key(u.client), Key(v.client)
        self.assertEqual(self.invalidate(admin, username=u.name), (sorted([a.id, b.id]), []))
        self.dead(a.client, b.client)
        other.client.security.authenticate()
        self.assertEqual(self.invalidate(admin, username=u.name), ([], []))

    def test_realm(self):
        """AK-90 by realm: all of that realm and of no other"""
        mine, other = Key(admin), Key(Person("manage_own_api_key").client)
        now, _ = self.invalidate(admin, realm_name="reserved")
        self.assertIn(mine.id, now)
        self.assertNotIn(other.id, now)
        self.dead(mine.client)
        other.client.security.authenticate()

    def test_username_and_realm(self):
        """by username and realm: both must fit"""
        u = Person("manage_own_api_key")
        k = Key(u.client)
        self.assertEqual(self.invalidate(admin, username=u.name, realm_name="reserved"), ([], []))
        k.client.security.authenticate()
        self.assertEqual(self.invalidate(admin, username=u.name, realm_name="default_native"), ([k.id], []))
        self.dead(k.client)

    def test_owner(self):
        """AK-93 by owner: all of the caller"""
        u, v = Person("manage_own_api_key"), Person("manage_own_api_key")
        a, b, other = Key(u.client), Key(u.client), Key(v.client)
        self.assertEqual(self.invalidate(u.client, owner=True), (sorted([a.id, b.id]), []))
        self.dead(a.client, b.client)
        other.client.security.authenticate()

    def test_owner_and_ids(self):
        """AK-92 AK-94 by owner and ids: those of the caller"""
        u, v = Person("manage_own_api_key"), Person("manage_own_api_key")
        a, b, other = Key(u.client), Key(u.client), Key(v.client)
        self.refused(403, "security_exception", u.client.security.invalidate_api_key, ids=[a.id])
        a.client.security.authenticate()
        self.assertEqual(self.invalidate(u.client, owner=True, ids=[a.id]), ([a.id], []))
        self.assertEqual(self.invalidate(u.client, owner=True, ids=[other.id]), ([], []))
        self.dead(a.client)
        b.client.security.authenticate()
        other.client.security.authenticate()

    def test_owner_and_name(self):
        """by owner and name: those of the caller"""
        u, v = Person("manage_own_api_key"), Person("manage_own_api_key")
        name = unique("shared")
        a, b, other = Key(u.client, name=name), Key(u.client), Key(v.client, name=name)
        self.assertEqual(self.invalidate(u.client, owner=True, name=name), ([a.id], []))
        self.dead(a.client)
        b.client.security.authenticate()
        other.client.security.authenticate()

    def test_itself(self):
        """AK-96 AK-97 a key may invalidate itself and nothing else"""
        u = Person("manage_own_api_key")
        k, other = Key(u.client), Key(u.client)
        for selector in [{"ids": [k.id, other.id]}, {"owner": True}]:
            self.refused(403, "security_exception", k.client.security.invalidate_api_key, **selector)
        self.assertEqual(self.invalidate(k.client, ids=[k.id]), ([k.id], []))
        self.dead(k.client)
        other.client.security.authenticate()

    def test_no_selector(self):
        """AK-98 AK-99 a request without a clear selector changes nothing"""
        k = Key(admin)
        for selector in [
            {"owner": False},
            {"ids": [k.id], "name": k.name},
            {"ids": [k.id], "username": "elastic"},
            {"name": k.name, "realm_name": "reserved"},
            {"owner": True, "username": "elastic"},
        ]:
            with self.subTest(selector):
                self.refused(400, "action_request_validation_exception", admin.security.invalidate_api_key, **selector)
        error = self.refused(400, "x_content_parse_exception", admin.security.invalidate_api_key, ids=[])
        self.assertEqual(error["caused_by"]["type"], "action_request_validation_exception")
        k.client.security.authenticate()
