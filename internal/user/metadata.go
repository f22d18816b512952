package user

import (
	"encoding/json"
	"fmt"
	"slices"

	"latchkey/internal/xcontent"
)

// MergeMetadata returns old with the members of added: a member of both is
// replaced, or merged in turn if it is an object in both. Empty texts are empty
// objects. It is what an update without a password does, since the original
// updates its document in part (spec/identity.md 2.3).
func MergeMetadata(old, added json.RawMessage) (json.RawMessage, error) {
	if len(old) == 0 || len(added) == 0 {
		return orEmpty(slices.Concat(old, added)), nil
	}
	a, err := xcontent.ParseOwn(old)
	if err != nil {
		return nil, fmt.Errorf("read stored metadata: %w", err)
	}
	b, err := xcontent.ParseOwn(added)
	if err != nil {
		return nil, err
	}
	return xcontent.Merge(a, b).JSON(), nil
}

func orEmpty(object json.RawMessage) json.RawMessage {
	if len(object) == 0 {
		return json.RawMessage("{}")
	}
	return object
}
