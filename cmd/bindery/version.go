package main

import "runtime/debug"

// version of this program: the tag of a release in git, and of its images. By default an installation runs the collector
// and the Jobs of the operator's own release. config/manager names the same tag. A build may set both variables with
// -ldflags "-X main.version=… -X main.commit=…".
var (
	version = "v0.1.0"
	commit  = ""
)

// commitOf is the commit that this program was built from. If the build has not set it, the go command may know it.
func commitOf() string {
	if commit != "" {
		return commit
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return unknownCommit
	}
	return commitIn(build.Settings)
}

const unknownCommit = "unknown"

// commitIn is the commit in the settings of a build. A tree with changes that are not committed is not that commit.
func commitIn(settings []debug.BuildSetting) string {
	revision, modified := unknownCommit, ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "-modified"
		}
	}
	return revision + modified
}
