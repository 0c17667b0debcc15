package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/bindery-dev/bindery/hack/release/internal/thirdparty"
)

// licences of everything that is published.
type licences struct {
	own []byte
	// modules that each program is made of, by the name of its image.
	modules map[string][]thirdparty.Module
	// plugin is what the plugin of kubectl is made of, on any of its platforms.
	plugin []thirdparty.Module
}

// licences finds the licences, checks them, and writes the texts of all of them.
func (r *release) licences() (licences, error) {
	own, err := os.ReadFile(filepath.Join(r.root, "LICENSE"))
	if err != nil {
		return licences{}, err
	}
	found := licences{own: own, modules: map[string][]thirdparty.Module{}}
	var patterns []string
	for _, p := range programs {
		if found.modules[p.name], err = thirdparty.Of(r.root, thirdparty.ImagePlatforms, p.pkg); err != nil {
			return licences{}, err
		}
		patterns = append(patterns, p.pkg)
	}
	images, err := thirdparty.Of(r.root, thirdparty.ImagePlatforms, patterns...)
	if err != nil {
		return licences{}, err
	}
	if found.plugin, err = thirdparty.Of(r.root, thirdparty.PluginPlatforms, pluginPackage); err != nil {
		return licences{}, err
	}
	all := thirdparty.All([]thirdparty.Program{{Name: "images", Modules: images}, {Name: thirdparty.Plugin, Modules: found.plugin}})
	if err := thirdparty.Check(all); err != nil {
		return licences{}, err
	}
	notice, err := thirdparty.Notice(all)
	if err != nil {
		return licences{}, err
	}
	return found, os.WriteFile(r.file("third-party-licenses.txt"), notice, 0o644)
}

// text is what the image of a program has to say about the modules that it is made of.
func (l licences) text(p program) ([]byte, error) { return thirdparty.Notice(l.modules[p.name]) }

// of finds a module of a program.
func (l licences) of(p program, path, version string) (thirdparty.Module, error) {
	modules := l.modules[p.name]
	i := slices.IndexFunc(modules, func(m thirdparty.Module) bool { return m.Path == path && m.Version == version })
	if i < 0 {
		return thirdparty.Module{}, fmt.Errorf("%s %s is part of %s, and go list does not know it", path, version, p.name)
	}
	return modules[i], nil
}
