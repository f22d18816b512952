"""What latchkey adds to the calls of Elasticsearch, through the client's own requests."""

import time

from support import Key, Person, Scenarios, admin, connect, unique

JSON = {"accept": "application/json", "content-type": "application/json"}
TEXT = {"accept": "application/json", "content-type": "text/plain"}


class Additions(Scenarios):
    def test_last_used(self):
        """with_last_used tells when and from where a key was used"""
        k = Key(admin)
        params = {"id": k.id, "with_last_used": "true"}
        [got] = admin.perform_request("GET", "/_security/api_key", headers=JSON, params=params)["api_keys"]
        self.assertAlmostEqual(got["last_used"], time.time() * 1000, delta=120_000)
        self.assertEqual((got["last_used_address"], got["last_used_user_agent"].split("/")[0]), ("127.0.0.1", "elasticsearch-py"))
        body = {"query": {"ids": {"values": [k.id]}}}
        found = admin.perform_request("POST", "/_security/_query/api_key", headers=JSON, params={"with_last_used": "true"}, body=body)
        self.assertEqual(found["api_keys"], [got])
        self.assertNotIn("last_used", admin.security.get_api_key(id=k.id)["api_keys"][0])

    def test_dry_run(self):
        """dry_run tells what an invalidation would end, and ends nothing"""
        u = Person("manage_own_api_key")
        k = Key(u.client)
        answer = {"invalidated_api_keys": [k.id], "previously_invalidated_api_keys": [], "error_count": 0}
        call = {"method": "DELETE", "path": "/_security/api_key", "headers": JSON, "params": {"dry_run": "true"}}
        self.assertEqual(admin.perform_request(**call, body={"username": u.name}).body, answer)
        self.refused(403, "security_exception", u.client.perform_request, **call, body={"ids": [k.id]})
        k.client.security.authenticate()
        self.assertEqual(admin.security.invalidate_api_key(username=u.name).body, answer)
        self.dead(k.client)

    def test_rotate(self):
        """a rotation gives a key another secret, and both are good for the overlap"""
        u = Person("manage_own_api_key")
        k = Key(u.client)
        path = f"/_latchkey/api_key/{k.id}"
        made = u.client.perform_request("POST", f"{path}/_rotate", headers=JSON, body={"overlap": "1h"})
        self.assertEqual(set(made.body), {"id", "name", "api_key", "encoded", "overlap_until"})
        new = connect(api_key=made["encoded"])
        for client in [k.client, new]:
            self.assertEqual(client.security.authenticate()["api_key"]["id"], k.id)
        self.assertEqual(u.client.perform_request("POST", f"{path}/_end_overlap", headers=JSON).body, {"ended": True})
        self.dead(k.client)
        new.security.authenticate()
        self.refused(404, "resource_not_found_exception", admin.perform_request, method="POST", path=f"{path}/_rotate", headers=JSON)

    def test_leaked(self):
        """leaked credentials are found in a text, and end"""
        u = Person("manage_own_api_key")
        k = Key(u.client)
        call = {
            "method": "POST", "path": "/_latchkey/api_key/_invalidate_leaked", "headers": TEXT,
            "body": f"{unique('line')}\ncurl -H 'Authorization: ApiKey {k.encoded}' http://example.org\n",
        }  # fmt: skip
        found = [{"type": "api_key", "id": k.id, "name": k.name, "username": u.name, "realm": "default_native"}]
        told = admin.perform_request(**call, params={"dry_run": "true"})
        self.assertEqual((told["found"], told["invalidated"], told["dry_run"]), (1, found, True))
        k.client.security.authenticate()
        self.assertEqual(admin.perform_request(**call)["invalidated"], found)
        self.dead(k.client)
        self.refused(403, "security_exception", Person("monitor").client.perform_request, **call)
