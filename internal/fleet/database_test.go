package fleet

import (
	"maps"
	"slices"
	"time"
)

// database is one copy of what a store holds: the log, the rows of the nodes, and
// what rooms would keep, which is here which keys are revoked.
type database struct {
	log     []Record // in order of their revisions
	members map[string]Member
	revoked map[string]int64 // by which revision
}

const keyKind = "test.keys"

func newDatabase() *database {
	return &database{log: []Record{{Mark: Mark{UID: "first"}}}, members: map[string]Member{}, revoked: map[string]int64{}}
}

func (d *database) clone() *database {
	return &database{slices.Clone(d.log), maps.Clone(d.members), maps.Clone(d.revoked)}
}

func (d *database) head() Mark { return d.log[len(d.log)-1].Mark }

func (d *database) find(rev int64) (int, bool) {
	return slices.BinarySearchFunc(d.log, rev, func(r Record, rev int64) int { return int(r.Rev - rev) })
}

func (d *database) holds(m Mark) bool {
	i, ok := d.find(m.Rev)
	return ok && d.log[i].UID == m.UID
}

func (d *database) after(rev int64, limit int) []Record {
	i, _ := d.find(rev + 1)
	return slices.Clone(d.log[i:min(len(d.log), i+limit)])
}

func (d *database) join(m Member, replaces string) {
	delete(d.members, replaces)
	if _, ok := d.members[m.ID]; !ok {
		d.members[m.ID] = m
	}
}

func (d *database) leave(id string) { delete(d.members, id) }

// renewal is what a renewal finds; renew is what it changes.
func (d *database) renewal(id string, applied Mark) Renewal {
	_, ok := d.members[id]
	return Renewal{Head: d.head(), Gone: !ok, Forked: ok && !d.holds(applied), Longest: d.longest()}
}

func (d *database) longest() (longest time.Duration) {
	for _, m := range d.members {
		longest = max(longest, m.Span)
	}
	return longest
}

func (d *database) renew(id string, applied Mark) {
	if m, ok := d.members[id]; ok {
		m.Acked, m.Seq = applied.Rev, m.Seq+1
		d.members[id] = m
	}
}

func (d *database) membership(m Mark) Membership {
	rows := slices.SortedFunc(maps.Values(d.members), func(a, b Member) int { return len(a.ID) - len(b.ID) })
	slices.SortFunc(rows, func(a, b Member) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
	return Membership{d.head(), d.holds(m), rows}
}

func (d *database) fence(id string, seq int64) bool {
	m, ok := d.members[id]
	if ok = ok && m.Seq == seq; ok {
		delete(d.members, id)
	}
	return ok
}

// revoke ends those of the keys that are not revoked yet, with one record, and
// returns it; without one, nothing was left to do.
func (d *database) revoke(uid string, keys []string) (r Record, done bool) {
	var live []string
	for _, k := range keys {
		if d.revoked[k] == 0 {
			live = append(live, k)
		}
	}
	if len(live) == 0 {
		return Record{}, false
	}
	head := d.head()
	return d.insert(head.Rev+1, uid, head.UID, live), true
}

func (d *database) insert(rev int64, uid, prev string, keys []string) Record {
	r := Record{Mark: Mark{rev, uid}, Prev: prev, Kind: keyKind, Body: EncodeIDs(keys), Longest: d.longest()}
	i, _ := d.find(rev)
	d.log = slices.Insert(d.log, i, r)
	for _, k := range keys {
		d.revoked[k] = rev
	}
	return r
}
