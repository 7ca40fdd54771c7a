"""A kinematic signer: signs as phonology, bodies that perform them, a camera and a hand detector.

``lexicon`` says what the signs are, ``hand`` turns joint angles into 21 points, ``people`` draws signers,
``strokes`` makes one sign of one signer into motion, ``motion`` strings signs together and moves the arms,
``camera`` looks at it and ``detector`` sees it as a hand tracker would; ``clips`` cuts isolated
signs. For whole sentences there are ``glosses`` (what hands do for a gloss with its marks), ``sentences``
(signs that run into each other, in a given number of frames), ``holistic`` (body and hands as MediaPipe
Holistic sees them, and the one file format that is known here) and ``filming`` (a cast, and many utterances
by several processes).

Coordinates, where nothing else is said: metres, the origin midway between the shoulders, x to the right of
the picture (the signer's left), y down, z away from the camera. A hand is worked out in the space of the
right hand and mirrored where it is a left one, so that a symmetric sign is one motion made twice.
"""
