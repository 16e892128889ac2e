package config

import (
	"bytes"
	"encoding/json"
)

// schema is a part of a JSON Schema; keys come out sorted.
type schema = map[string]any

// Schema returns a JSON Schema (2020-12) of the documents that handlers of the
// registry's kinds can be in: for editors, which complete and check by it. What
// only Parse finds, such as a handler that is named and not there, it cannot
// say. A nil Registry is that of NewRegistry.
func Schema(r *Registry) []byte {
	if r == nil {
		r = NewRegistry()
	}
	var kinds []any
	for _, name := range r.kindNames() {
		kinds = append(kinds, schema{"$ref": "#/$defs/kind_" + name})
	}
	level := schema{
		"description": "debug, info, warn, error, also with an offset as error+4; trace, warning, critical, fatal; or a number",
		"type":        []string{"string", "integer"},
	}
	defs := schema{
		"handler": schema{"oneOf": kinds},
		"level":   level,
		"duration": schema{
			"description": "such as 10s, 1h30m or 7d",
			"anyOf":       []any{schema{"type": "string", "pattern": `^-?([0-9]|\$\{)`}, schema{"const": 0}},
		},
		"size": schema{
			"description": "such as 1048576, 64KiB or 100MB",
			"anyOf":       []any{schema{"type": "string", "pattern": `^([0-9]+([KkMmGg][Ii]?)?[Bb]?|.*\$\{.*)$`}, schema{"type": "integer", "minimum": 0}},
		},
		"to": schema{
			"description": "a handler's name, or a list of them",
			"anyOf":       []any{schema{"type": "string"}, schema{"type": "array", "items": schema{"type": "string"}, "minItems": 1, "uniqueItems": true}},
		},
	}
	for _, name := range r.kindNames() {
		k := r.kind(name)
		s := k.options.objectSchema()
		properties := s["properties"].(schema)
		properties["kind"] = schema{"const": name}
		if k.floor {
			properties["level"] = schema{"$ref": "#/$defs/level", "description": "the lowest level that the handler gets"}
		}
		s["required"] = append([]string{"kind"}, s["required"].([]string)...)
		if k.doc != "" {
			s["description"] = k.doc
		}
		defs["kind_"+name] = s
	}
	rule := func(root bool) schema {
		properties := schema{
			"level": schema{"$ref": "#/$defs/level", "description": "the lowest level that is logged; loggers below it inherit it"},
			"to":    schema{"$ref": "#/$defs/to", "description": "the handlers that the records go to"},
		}
		s := schema{"type": "object", "properties": properties, "additionalProperties": false}
		if root {
			properties["to"] = schema{"description": "the handlers that the records go to", "anyOf": []any{schema{"$ref": "#/$defs/to"}, schema{"const": []any{}}}}
			s["required"] = []string{"to"}
		} else {
			properties["bubble"] = schema{"type": "boolean", "description": "whether records go to the handlers of shorter names and of root, too; default true"}
		}
		return s
	}
	doc := schema{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "slogworks pipeline",
		"type":    "object",
		"properties": schema{
			"version":  schema{"const": 1},
			"handlers": schema{"type": "object", "description": "the handlers by their names", "propertyNames": schema{"minLength": 1}, "additionalProperties": schema{"$ref": "#/$defs/handler"}},
			"root":     rule(true),
			"loggers":  schema{"type": "object", "description": "the loggers by their names; a name covers those below it, as a.b does a.b.c", "propertyNames": schema{"minLength": 1}, "additionalProperties": rule(false)},
		},
		"required":             []string{"version", "root"},
		"additionalProperties": false,
		"$defs":                defs,
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		panic(err) // it is made of maps, lists and texts
	}
	return b.Bytes()
}

// objectSchema returns the schema of a struct.
func (s *shape) objectSchema() schema {
	properties, required := schema{}, []string{}
	var secrets []any // required, each by one of two names
	for _, o := range s.options {
		p := o.shape.schema()
		if o.enum != nil {
			p = enumSchema(o)
		}
		if o.doc != "" {
			p["description"] = o.doc
		}
		properties[o.name] = p
		if o.shape.meaning == asSecret {
			properties[o.name+"_file"] = schema{"type": "string", "description": "the path of a file that has " + o.name}
			if o.required {
				secrets = append(secrets, schema{"oneOf": []any{
					schema{"required": []string{o.name}}, schema{"required": []string{o.name + "_file"}},
				}})
			}
		} else if o.required {
			required = append(required, o.name)
		}
	}
	object := schema{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	if secrets != nil {
		object["allOf"] = secrets
	}
	return object
}

func enumSchema(o option) schema {
	words := schema{"enum": o.enum}
	if o.shape.meaning == asList {
		return schema{"anyOf": []any{words, schema{"type": "array", "items": words}}}
	}
	return words
}

// schema returns the schema of a value.
func (s *shape) schema() schema {
	switch s.meaning {
	case asText:
		return schema{"type": "string"}
	case asTruth:
		return schema{"type": "boolean"}
	case asWhole:
		if s.typ == countType {
			return schema{"type": "integer", "minimum": 0}
		}
		return schema{"type": "integer"}
	case asReal:
		return schema{"type": "number"}
	case asDuration:
		return schema{"$ref": "#/$defs/duration"}
	case asSize:
		return schema{"$ref": "#/$defs/size"}
	case asLevel:
		return schema{"$ref": "#/$defs/level"}
	case asSecret:
		return schema{"type": "string", "writeOnly": true}
	case asRef:
		return schema{"$ref": "#/$defs/to"}
	case asUnmarshaler:
		return schema{"type": []string{"string", "number", "boolean"}}
	case asList:
		items := schema{"type": "array", "items": s.element.schema()}
		if s.element.meaning == asRef {
			items["minItems"] = 1
		}
		if m := s.element.meaning; m == asRef || m == asText || m == asSecret {
			return schema{"anyOf": []any{schema{"type": "string"}, items}}
		}
		return items
	case asMap:
		return schema{"type": "object", "additionalProperties": s.element.schema()}
	}
	object := s.objectSchema()
	for _, o := range s.options {
		if o.short {
			short := schema{"type": "string"}
			if o.enum != nil {
				short = enumSchema(o)
			}
			return schema{"anyOf": []any{short, object}}
		}
	}
	return object
}
