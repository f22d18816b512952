package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime/debug"
	"strconv"
	"strings"

	"latchkey"
)

// build is the identity of this binary, in the form that clients expect of the
// server they know.
type build struct{ version latchkey.Version }

// releaseDate stands for the date of a build that does not know its commit.
const releaseDate = "2026-01-01T00:00:00Z"

// readBuild describes the running binary as the release that Options.Version claims.
func readBuild(number string) build {
	v := latchkey.Version{
		Number: number, BuildFlavor: "default", BuildType: "docker", BuildDate: releaseDate,
		LuceneVersion: "10.2.2", MinimumWireCompatibilityVersion: "8.19.0", MinimumIndexCompatibilityVersion: "8.0.0",
	}
	major, _, _ := strings.Cut(number, ".")
	if n, err := strconv.Atoi(major); err == nil {
		switch {
		case n <= 7:
			v.LuceneVersion, v.MinimumWireCompatibilityVersion, v.MinimumIndexCompatibilityVersion = "8.11.3", "6.8.0", "6.0.0-beta1"
		case n == 8:
			v.LuceneVersion, v.MinimumWireCompatibilityVersion, v.MinimumIndexCompatibilityVersion = "9.12.2", "7.17.0", "7.0.0"
		}
	}
	seed := "latchkey " + number
	if info, ok := debug.ReadBuildInfo(); ok {
		seed += info.Main.Version + info.Main.Sum
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && len(s.Value) == 40:
				v.BuildHash = s.Value
			case s.Key == "vcs.time":
				v.BuildDate = s.Value
			}
		}
	}
	if v.BuildHash == "" {
		sum := sha256.Sum256([]byte(seed))
		v.BuildHash = hex.EncodeToString(sum[:20])
	}
	return build{v}
}
