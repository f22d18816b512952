package cli

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"latchkey"
	"latchkey/internal/xcontent"
)

// value is what a flag says: JSON, or with @FILE or @- what stands there.
func (k *calls) value(flag string) ([]byte, error) {
	text := k.c.String(flag)
	if path, ok := strings.CutPrefix(text, "@"); ok {
		return k.readFile(path, "the value of --"+flag)
	}
	return []byte(text), nil
}

// read reads the JSON of a flag into out, strictly. It reports whether the flag was given.
func (k *calls) read(flag string, out any) (given bool, err error) {
	if !k.c.IsSet(flag) {
		return false, nil
	}
	text, err := k.value(flag)
	if err != nil {
		return false, err
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return false, misused(k.c, "--"+flag+" is a JSON object, or @ and the name of a file with one")
	}
	if err := json.Unmarshal(text, out, json.RejectUnknownMembers(true)); err != nil {
		return false, fmt.Errorf("--%s: %s", flag, misfit(err))
	}
	return true, nil
}

// misfit says where JSON has another form than is wanted, without the names of our types.
func misfit(err error) string {
	wrong, ok := errors.AsType[*json.SemanticError](err)
	switch {
	case !ok:
		return err.Error()
	case wrong.Err != nil:
		return fmt.Sprintf("at [%s]: %v", wrong.JSONPointer, wrong.Err)
	}
	return fmt.Sprintf("at [%s] there is a JSON %v, which does not belong there", wrong.JSONPointer, wrong.JSONKind)
}

// object is the JSON object of a flag as it was written; nil if it was not given.
func (k *calls) object(flag string) (stdjson.RawMessage, error) {
	var o stdjson.RawMessage
	_, err := k.read(flag, &o)
	return o, err
}

func (k *calls) roles() (map[string]latchkey.Role, error) {
	var roles map[string]latchkey.Role
	_, err := k.read("roles", &roles)
	return roles, err
}

// duration is that of a flag; 0 if it was not given.
func (k *calls) duration(flag string) (time.Duration, error) {
	if !k.c.IsSet(flag) {
		return 0, nil
	}
	d, err := xcontent.ParseDuration(k.c.String(flag), "--"+flag)
	if err == nil && d < 0 {
		err = misused(k.c, "--"+flag+" must not be negative")
	}
	return d, err
}

// span is a duration that is not 0.
func (k *calls) span(flag string) (time.Duration, error) {
	d, err := k.duration(flag)
	if err == nil && d == 0 && k.c.IsSet(flag) {
		err = misused(k.c, "--"+flag+" must be above 0")
	}
	return d, err
}

// described is what the flags say that every new or changed key can have.
func (k *calls) described() (expiration time.Duration, metadata stdjson.RawMessage, err error) {
	if expiration, err = k.span("expiration"); err != nil {
		return 0, nil, err
	}
	metadata, err = k.object("metadata")
	return expiration, metadata, err
}
