package sqlstore

import (
	"slices"
	"time"

	"latchkey/internal/apikey"
	"latchkey/internal/query"
)

// These note what an act does to the searchable keys. All of it has to be told here.

// searchableAdded notes a key that is not there yet, as one that is not invalidated.
func (tx *Tx) searchableAdded(k *apikey.Key) {
	tx.committed(func() {
		tx.keys.change(func(t *query.Table) { t.Put(k.ID, searchable(k)...) })
	})
}

// searchable returns the cells of a new key, in the order of the schema.
func searchable(k *apikey.Key) []query.Cell {
	cells := make([]query.Cell, len(apikey.Schema))
	for i, f := range apikey.Schema {
		switch f.Name {
		case "name":
			cells[i] = query.Text(k.Name)
		case "type":
			cells[i] = query.Text(string(k.Type))
		case "username":
			cells[i] = query.Text(k.Owner.Username)
		case "realm_name":
			cells[i] = query.Text(k.Owner.Realm)
		case "creation":
			cells[i] = instant(k.CreatedAt)
		case "expiration":
			cells[i] = instant(k.ExpiresAt)
		case "invalidated":
			cells[i] = query.Is(false)
		case "metadata":
			cells[i] = query.Object(string(k.Metadata))
		}
	}
	return cells
}

func instant(t time.Time) query.Cell {
	if t.IsZero() {
		return query.Cell{}
	}
	return query.At(t.UnixMilli())
}

func (tx *Tx) searchableInvalidated(ids []string, at time.Time) {
	tx.committed(func() {
		ids := slices.Clone(ids) // whoever is answered may sort them
		tx.keys.change(func(t *query.Table) {
			for _, id := range ids {
				t.Set(id, "invalidation", query.At(at.UnixMilli()))
				t.Set(id, "invalidated", query.Is(true))
			}
		})
	})
}

func (tx *Tx) searchableUpdated(id string, k *apikey.Key) {
	expires, metadata := instant(k.ExpiresAt), k.Metadata // many keys may share it until they are written
	tx.committed(func() {
		tx.keys.change(func(t *query.Table) {
			t.Set(id, "expiration", expires)
			t.Set(id, "metadata", query.Object(string(metadata)))
		})
	})
}

func (tx *Tx) searchableUsed(u apikey.Use) {
	tx.committed(func() {
		tx.keys.change(func(t *query.Table) { t.Set(u.KeyID, "last_used", query.At(u.At.UnixMilli())) })
	})
}

func (tx *Tx) searchableRemoved(ids []string) {
	tx.committed(func() {
		ids := slices.Clone(ids)
		tx.keys.change(func(t *query.Table) {
			for _, id := range ids {
				t.Remove(id)
			}
		})
	})
}
