// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// CheckFiles returns a warning for each password file that cannot be used in
// fsys, the file system from / on (os.DirFS("/")). They are warnings since the
// file may well be there where the speakers run; a speaker reports it for the
// peer alone.
func (c *Config) CheckFiles(fsys fs.FS) Faults {
	if c.Metal == nil {
		return nil
	}
	var out Faults
	for i := range c.Metal.Peers {
		p := &c.Metal.Peers[i]
		if p.Password.File == "" {
			continue
		}
		reason, cure := checkPasswordFile(fsys, p.Password.File)
		if reason == "" {
			continue
		}
		f := c.passwordFiles[p.Name]
		f.Warning = true
		f.Value, f.Reason, f.Cure = p.Password.File, reason, cure
		if f.Field == "" { // no file behind the config
			f.Object, f.Field = objectName("peer", p.Name), "passwordFile"
		}
		out = append(out, f)
	}
	return out
}

func checkPasswordFile(fsys fs.FS, file string) (reason, cure string) {
	contents, err := fs.ReadFile(fsys, strings.TrimPrefix(path.Clean(file), "/"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file here", "make sure that it is there where the speakers run"
	case err != nil:
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		return "cannot be read here: " + err.Error(), "make sure that it can be read where the speakers run"
	}
	if _, err := ParsePassword(contents); err != nil {
		reason, cure, _ = strings.Cut(err.Error(), "; ")
	}
	return reason, cure
}
