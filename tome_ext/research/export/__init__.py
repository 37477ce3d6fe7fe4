"""The embedded model for others to load: a folder in diffusers' layout, and a checkpoint with yaml for the WebUI.

WebUIs normalise in 32 groups, always; the embedded model has fewer channels than that allows. The export widens it
exactly: the same function, with channels that are zero, or copies where a normalisation over all channels asks for it.
"""
