package rolemapping

import (
	"encoding/json"

	"latchkey/internal/access"
)

// User is what rules and templates see of somebody who logs in.
type User struct {
	Username string
	DN       string          // the distinguished name; "" in realms without
	Groups   []string        // as the realm writes them: names or DNs
	Metadata json.RawMessage // a JSON object; empty means {}
	Realm    access.Realm    // rules see the name
}
