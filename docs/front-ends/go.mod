module example.org/names

go 1.26

require grapevine v0.0.0

replace grapevine => ../..
