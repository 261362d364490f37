# node-gyp insists on this name. The build is described in bindings.gyp and CMakeLists.txt.
{ "includes": ["bindings.gyp"] }
