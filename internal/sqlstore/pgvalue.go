package sqlstore

import (
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
)

// pgValues are the arguments of a statement as they cross the wire: numbers and
// texts as text, bytes as they are. The server knows the types from where they stand.
func pgValues(args []any) (values [][]byte, formats []int16, err error) {
	values, formats = make([][]byte, len(args)), make([]int16, len(args))
	for i, arg := range args {
		var ok bool
		if values[i], formats[i], ok = pgValue(arg); !ok {
			plain, err := driver.DefaultParameterConverter.ConvertValue(arg) // what has a pointer, a name or a method
			if err == nil {
				values[i], formats[i], ok = pgValue(plain)
			}
			if !ok {
				return nil, nil, fmt.Errorf("parameter $%d is a %T, which is not kept: %w", i+1, arg, err)
			}
		}
	}
	return values, formats, nil
}

func pgValue(arg any) (value []byte, format int16, ok bool) {
	switch v := arg.(type) {
	case nil:
	case string:
		return []byte(pgText(v)), pgtype.TextFormatCode, true
	case int64:
		return strconv.AppendInt(nil, v, 10), pgtype.TextFormatCode, true
	case int:
		return strconv.AppendInt(nil, int64(v), 10), pgtype.TextFormatCode, true
	case sql.NullInt64:
		if v.Valid {
			return pgValue(v.Int64)
		}
	case *string:
		if v != nil {
			return pgValue(*v)
		}
	case []byte:
		return v, pgtype.BinaryFormatCode, true // nil is NULL
	default:
		return nil, 0, false
	}
	return nil, pgtype.TextFormatCode, true
}

// pgText is a text as PostgreSQL can keep it, which refuses U+0000 and what is no
// UTF-8. The order of valid texts stays, also that of one and its beginnings.
func pgText(s string) string {
	if !strings.ContainsAny(s, "\x00\x01") && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s { // a byte that is no UTF-8 comes as an error of width 1
		switch {
		case r == 0 || r == 1:
			b.WriteByte(1)
			b.WriteByte(1 + byte(r))
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			b.WriteString("\x01\x03")
			b.WriteRune(rune(s[i]))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// ownText is the text of which pgText made s.
func ownText(s []byte) []byte {
	own := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != 1 || i+1 == len(s) {
			own = append(own, s[i])
			continue
		}
		i++
		if s[i] != 3 {
			own = append(own, s[i]-1)
			continue
		}
		r, size := utf8.DecodeRune(s[i+1:])
		own = append(own, byte(r))
		i += size
	}
	return own
}

// pgColumn is one column of a row, in the binary format.
type pgColumn struct {
	raw  []byte // nil: NULL. The next row overwrites it.
	kind uint32
}

// bytes returns a copy.
func (c pgColumn) bytes() ([]byte, error) {
	switch c.kind {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.UnknownOID:
		return ownText(c.raw), nil
	case pgtype.ByteaOID:
		return append(make([]byte, 0, len(c.raw)), c.raw...), nil
	}
	return nil, fmt.Errorf("type %d is no text and no bytes", c.kind)
}

func (c pgColumn) number() (int64, error) {
	switch {
	case c.kind == pgtype.Int8OID && len(c.raw) == 8:
		return int64(binary.BigEndian.Uint64(c.raw)), nil
	case c.kind == pgtype.Int4OID && len(c.raw) == 4:
		return int64(int32(binary.BigEndian.Uint32(c.raw))), nil
	case c.kind == pgtype.BoolOID && len(c.raw) == 1:
		return int64(c.raw[0]), nil
	}
	return 0, fmt.Errorf("type %d is no number", c.kind)
}

// scan copies the column to dest, as [rows.Scan] says.
func (c pgColumn) scan(dest any) (err error) {
	if c.raw == nil {
		switch d := dest.(type) {
		case **string:
			*d = nil
		case *[]byte:
			*d = nil
		case *sql.NullInt64:
			*d = sql.NullInt64{}
		case *sql.NullBool:
			*d = sql.NullBool{}
		default:
			return errors.New("is NULL")
		}
		return nil
	}
	var text []byte
	var n int64
	switch d := dest.(type) {
	case **string:
		text, err = c.bytes()
		*d = new(string(text))
	case *string:
		text, err = c.bytes()
		*d = string(text)
	case *[]byte:
		*d, err = c.bytes()
	case *json.RawMessage:
		*d, err = c.bytes()
	case *sql.NullInt64:
		n, err = c.number()
		*d = sql.NullInt64{Int64: n, Valid: true}
	case *sql.NullBool:
		n, err = c.number()
		*d = sql.NullBool{Bool: n != 0, Valid: true}
	case *int64:
		*d, err = c.number()
	case *int:
		n, err = c.number()
		*d = int(n)
	case *bool:
		n, err = c.number()
		*d = n != 0
	default:
		return fmt.Errorf("cannot be read into a %T", dest)
	}
	return err
}
