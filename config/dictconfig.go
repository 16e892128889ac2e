package config

import "slices"

// fromDictConfig are keys of a dictionary for Python's dictConfig, by what they
// are called here; "" is what there is no need of.
var fromDictConfig = map[string]string{
	"class": "kind", "formatter": "format", "filename": "path", "maxBytes": "max_size", "backupCount": "max_backups",
	"handlers": "to", "propagate": "bubble",
	"formatters": "", "disable_existing_loggers": "",
}

// dictConfig adds a mistake and returns what the key is called here, if it is one
// of a dictionary for Python's dictConfig and there is such a key here.
func (d *decoder) dictConfig(key entry, path string, known []string) (name string, ok bool) {
	name, ok = fromDictConfig[key.name]
	switch {
	case !ok || name != "" && !slices.Contains(known, name):
		return "", false
	case name == "":
		d.found.add(key.line, join(path, key.name), "is not needed: leave it out")
	default:
		d.found.addMistake(Mistake{Line: key.line, Path: join(path, key.name), Message: "is of Python's dictConfig", Nearest: name})
	}
	return name, true
}

// pythonLevels are the numbers of Python's logging, which are too high here to
// be meant.
var pythonLevels = map[string]string{"10": "debug", "20": "info", "30": "warn", "40": "error", "50": "critical"}
