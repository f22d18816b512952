package node

import (
	"runtime/debug"
	"strings"
)

// Version is what this binary was built from: the version of its module, or
// where that is unknown the revision of the source; "unknown" if neither was
// stamped.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknownVersion
	}
	return versionOf(info)
}

const unknownVersion = "unknown"

func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return strings.TrimPrefix(v, "v")
	}
	stamped := map[string]string{}
	for _, s := range info.Settings {
		stamped[s.Key] = s.Value
	}
	revision := stamped["vcs.revision"]
	if revision == "" {
		return unknownVersion
	}
	revision = revision[:min(12, len(revision))]
	if stamped["vcs.modified"] == "true" {
		revision += "+dirty"
	}
	return revision
}
