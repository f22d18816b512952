package file

import "testing"

// With the default hash.
func BenchmarkAuthenticate(b *testing.B) {
	line := "u:" + hashes(b)["bcrypt"] + "\n"
	fresh := func() *folder {
		f := newFolder(b, nil)
		f.write(b, "users", line)
		f.read(b)
		return f
	}
	logIn := func(f *folder) {
		if _, err := f.Authenticate(b.Context(), "u", "file-password"); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("cached", func(b *testing.B) {
		f := fresh()
		logIn(f)
		for b.Loop() {
			logIn(f)
		}
	})
	b.Run("not cached", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			f := fresh()
			b.StartTimer()
			logIn(f)
		}
	})
}
