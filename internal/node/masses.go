package node

import (
	"fmt"

	"latchkey/internal/fleet"
	"latchkey/internal/sqlstore"
)

// masses is a room whose things other nodes end by the thousand.
type masses interface {
	ForgetOwner(username, realm string)
	ForgetIf(named func(name string) bool)
}

// forgetsMasses names who forgets masses, by the kind of the things in them. It comes
// before start.
func (m *membership) forgetsMasses(rooms map[string]masses) {
	for kind, room := range rooms {
		m.apply[kind+sqlstore.OfOwner] = func(body []byte) error {
			names, err := fleet.DecodeIDs(body)
			switch {
			case err != nil:
				return err
			case len(names) != 2:
				return fmt.Errorf("an owner has a username and a realm, and not %d names", len(names))
			}
			room.ForgetOwner(names[0], names[1])
			return nil
		}
		m.apply[kind+sqlstore.InFilter] = func(body []byte) error {
			f, err := fleet.ReadFilter(body)
			if err == nil {
				room.ForgetIf(f.Has)
			}
			return err
		}
	}
}
